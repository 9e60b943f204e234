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

_answers: dict[str, bool] = {}


def fake(name: str) -> Callable[[Callable], Callable]:
    """Decorator of a fake (meta) implementation of `torch.ops.gtalk.<name>`; nothing where nothing is built."""
    return torch.library.register_fake(f"gtalk::{name}") if BUILT else lambda function: function


def autograd(name: str, backward: Callable, setup_context: Callable) -> None:
    """Give `torch.ops.gtalk.<name>` a backward."""
    if BUILT:
        torch.library.register_autograd(f"gtalk::{name}", backward, setup_context=setup_context)


def available(tensor: torch.Tensor | None = None) -> bool:
    """Whether the compiled operators can be used (on this tensor's device); the first "no" warns, others are silent."""
    device = "cpu" if tensor is None else tensor.device.type
    if device not in _answers:
        _answers[device] = BUILT and (device == "meta" or _has_kernels(device))
        if not _answers[device]:
            missing = f"gtalk._C is not there ({WHY_NOT})" if not BUILT else f"gtalk._C has no kernels for {device}"
            warnings.warn(
                f"{missing}: plain torch is used, many times slower. "
                "Build it with `pip install --no-build-isolation --no-deps -e .`",
                RuntimeWarning,
                stacklevel=3,
            )
    return _answers[device]


def _has_kernels(device: str) -> bool:
    return torch._C._dispatch_has_kernel_for_dispatch_key("gtalk::hash_encode", device.upper())
