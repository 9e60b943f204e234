"""Arguments of operators, checked: every message names the argument, what was expected and what came."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def require(ok: bool, name: str, expected: str, got: object) -> None:
    """Raise ValueError unless `ok`."""
    if not ok:
        raise ValueError(f"{name}: expected {expected}; got {got}.")


def has_shape(name: str, tensor: torch.Tensor, *shape: int | None) -> None:
    """Every given size must agree; None stands for any size."""
    ok = tensor.ndim == len(shape) and all(want in {None, have} for want, have in zip(shape, tensor.shape, strict=True))
    wanted = ", ".join("*" if size is None else str(size) for size in shape)
    require(ok, name, f"shape [{wanted}]", list(tensor.shape))


def has_dtype(name: str, tensor: torch.Tensor, *dtypes: torch.dtype) -> None:
    """The tensor's type must be one of `dtypes`."""
    require(tensor.dtype in dtypes, name, " or ".join(str(dtype) for dtype in dtypes), tensor.dtype)


def on_one_device(names: Sequence[str], tensors: Sequence[torch.Tensor]) -> None:
    """All tensors must be where the first one is."""
    for name, tensor in zip(names, tensors, strict=True):
        require(tensor.device == tensors[0].device, name, f"device {tensors[0].device} of {names[0]}", tensor.device)
