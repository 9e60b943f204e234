"""Each instruction set that this machine has."""

import pytest
import torch


def levels() -> list[str]:
    """Instruction sets that can be tried here."""
    if not hasattr(torch.ops.gtalk, "use_isa"):
        return ["as built"]
    found = []
    for name in ("avx512", "avx2", "portable"):
        try:
            torch.ops.gtalk.use_isa(name)
            found.append(name)
        except (RuntimeError, ValueError):
            continue
    torch.ops.gtalk.use_isa("best")
    return found


@pytest.fixture(params=levels())
def isa(request):
    """One instruction set, and the best one again afterwards."""
    if request.param == "as built":
        yield request.param
        return
    torch.ops.gtalk.use_isa(request.param)
    yield request.param
    torch.ops.gtalk.use_isa("best")
