"""The compiled extension, where there is one.

`gtalk._C` registers its operators with torch under `torch.ops.gtalk`; they are chosen by the device of
their tensors. Without it, the plain torch references of `gtalk.ops.reference` do the same work slowly.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch

try:
    from gtalk import _C  # type: ignore[attr-defined]  # noqa: F401

    BUILT, WHY_NOT = True, ""
except ImportError as error:
    BUILT, WHY_NOT = False, str(error)

_warned: list[str] = []


def fake(name: str) -> Callable[[Callable], Callable]:
    """Decorator of a fake (meta) implementation of `torch.ops.gtalk.<name>`; nothing where nothing is built."""
    return torch.library.register_fake(f"gtalk::{name}") if BUILT else lambda function: function


def autograd(name: str, backward: Callable, setup_context: Callable) -> None:
    """Give `torch.ops.gtalk.<name>` a backward."""
    if BUILT:
        torch.library.register_autograd(f"gtalk::{name}", backward, setup_context=setup_context)


def available() -> bool:
    """Whether the compiled operators can be used; the first "no" warns, later ones are silent."""
    if not BUILT and not _warned:
        _warned.append(WHY_NOT)
        warnings.warn(
            f"gtalk._C is not there ({WHY_NOT}): plain torch is used, many times slower. "
            "Build it with `pip install --no-build-isolation --no-deps -e .`",
            RuntimeWarning,
            stacklevel=3,
        )
    return BUILT
