"""The compiled extension, where there is one.

`gtalk._C` registers its operators with torch under `torch.ops.gtalk`; they are chosen by the device of
their tensors. Without it, the plain torch references of `gtalk.ops.reference` do the same work slowly.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable

import torch

from gtalk.errors import UserError

try:
    from gtalk import _C  # type: ignore[attr-defined]  # noqa: F401

    BUILT, WHY_NOT = True, ""
except ImportError as error:
    BUILT, WHY_NOT = False, str(error)

_answers: dict[str, bool] = {}


def fake(name: str) -> Callable[[Callable], Callable]:
    """Decorator of a fake (meta) implementation of `torch.ops.gtalk.<name>`; nothing where nothing is built."""
    known = BUILT and hasattr(torch.ops.gtalk, name)  # an older build may lack it
    return torch.library.register_fake(f"gtalk::{name}") if known else lambda function: function


def autograd(name: str, backward: Callable, setup_context: Callable) -> None:
    """Give `torch.ops.gtalk.<name>` a backward."""
    if BUILT:
        torch.library.register_autograd(f"gtalk::{name}", backward, setup_context=setup_context)


def available(tensor: torch.Tensor | None = None) -> bool:
    """Whether the compiled operators can be used (on this tensor's device); the first "no" warns, others are silent.

    Raises:
        UserError: the tensor is on a GPU that the extension has no kernels for. Plain torch would be many times
            slower there without a word; with GTALK_ALLOW_REFERENCE=1 it is used.
    """
    return available_on("cpu" if tensor is None else tensor.device.type)


def available_on(device: str) -> bool:
    """As `available`, by the device's type."""
    if device not in _answers:
        _answers[device] = BUILT and (device == "meta" or _has_kernels(device))
        if not _answers[device]:
            _refuse(device)
    return _answers[device]


def backend(device: str) -> str:
    """What the operators run on, in words."""
    kind = device.partition(":")[0]
    if not BUILT or not _has_kernels(kind):
        return f"plain torch on {kind}"
    if kind != "cpu":
        return f"{kind} kernels"
    threads = torch.get_num_threads()
    return f"{torch.ops.gtalk.isa()} on {threads} CPU thread{'s' * (threads > 1)}"


def _refuse(device: str) -> None:
    missing = f"gtalk._C is not there ({WHY_NOT})" if not BUILT else f"gtalk._C has no kernels for {device}"
    build = "pip install --no-build-isolation --no-deps -e ."
    if device == "cuda" and os.environ.get("GTALK_ALLOW_REFERENCE") != "1":
        del _answers[device]
        raise UserError(
            "device cuda",
            expected="gtalk's CUDA kernels",
            got=missing,
            remedy=f"Build them where nvcc is (`GTALK_CUDA=1 {build}`), or use the CPU (`--device cpu`), "
            "or set GTALK_ALLOW_REFERENCE=1 for plain torch, many times slower.",
        )
    warnings.warn(
        f"{missing}: plain torch is used, many times slower. Build it with `{build}`", RuntimeWarning, stacklevel=4
    )


def _has_kernels(device: str) -> bool:
    return torch._C._dispatch_has_kernel_for_dispatch_key("gtalk::hash_encode", device.upper())


def _check_isa() -> None:
    """GTALK_ISA is read by the extension when it first needs it; a wrong name should be told before any work."""
    try:
        torch.ops.gtalk.isa()
    except (RuntimeError, ValueError) as error:
        expected, _, got = str(error).splitlines()[0].removeprefix("GTALK_ISA: expected ").partition("; got ")
        raise UserError(
            "GTALK_ISA", expected=expected, got=got.rstrip("."), remedy="Unset it for the best that this machine has."
        ) from None


if BUILT:
    _check_isa()
