"""Where tensors are computed: one word, resolved once."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch

from gtalk.errors import UserError
from gtalk.shapes import Bool, Int, Shaped, UInt8

Device = Literal["auto", "cpu", "cuda"]
"""auto: a GPU where there is one."""
_KNOWN = ("auto", "cpu", "cuda")


def resolve_device(wanted: str) -> torch.device:
    """auto, cpu, cuda or cuda:N, as a device. Raises UserError for another word, or a device that is not there."""
    name, _, number = wanted.partition(":")
    if name not in _KNOWN or (number and (name != "cuda" or not number.isdecimal())):
        meant = "cuda" if wanted.lower() == "gpu" else wanted.lower()  # the nearest by letters would be cpu
        near = difflib.get_close_matches(meant, _KNOWN, n=1, cutoff=0.4)
        remedy = f"Did you mean `{near[0]}`?" if near else "`auto` takes a GPU where there is one."
        raise UserError("device", expected=f"one of: {', '.join(_KNOWN)}", got=wanted, remedy=remedy)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda" if count else "cpu")
    if name == "cuda" and int(number or 0) >= count:
        got = f"{count} on this machine" if count else "none on this machine, or a torch without CUDA"
        raise UserError(f"device {wanted}", expected="a CUDA device that is there", got=got,
                        remedy="Use `cpu`, or `auto`, which takes a GPU where there is one.")  # fmt: skip
    return torch.device(wanted)


def sent(
    values: Shaped[np.ndarray, "..."] | Shaped[torch.Tensor, "..."] | Sequence[Any],
    like: Shaped[torch.Tensor, "..."] | torch.device,
    dtype: torch.dtype | None = None,
) -> Shaped[torch.Tensor, "..."]:
    """Values of the host where `like` is, of its type, or as they are where `like` is a device.

    A plain copy to a GPU waits until that has done all it was asked before. This one does not: pageable memory is
    read before the call returns (CUDA's runtime API, "API synchronization behavior"), so `values` may change at once.
    """
    device = like if isinstance(like, torch.device) else like.device
    dtype = dtype or (None if isinstance(like, torch.device) else like.dtype)
    return torch.as_tensor(values, dtype=dtype).to(device, non_blocking=True)


def worth_picking(mask: Bool[torch.Tensor, " N"]) -> Int[torch.Tensor, " M"] | slice:
    """Where the mask is true, for a processor, which saves the rest; all of it on a GPU, where to count is to wait."""
    return mask.nonzero()[:, 0] if mask.device.type == "cpu" else slice(None)


class Delivery:
    """Bytes on their way to the host: all of them in one copy, beside whatever the device does next."""

    def __init__(self, *parts: UInt8[torch.Tensor, "..."]) -> None:
        self._shapes = [tuple(part.shape) for part in parts]
        device = parts[0].device
        self._parts = list(parts)
        self._done: torch.cuda.Event | None = None
        if device.type != "cpu":
            flat = torch.cat([part.reshape(-1) for part in parts])
            self._parts = [flat.to("cpu", non_blocking=True)]  # page-locked memory, which torch takes for this
        if device.type == "cuda":
            self._done = torch.cuda.Event()
            self._done.record(torch.cuda.current_stream(device))

    def wait(self) -> list[UInt8[np.ndarray, "..."]]:
        """The parts, once they are there."""
        if self._done is not None:
            self._done.synchronize()
        if len(self._parts) == len(self._shapes):
            return [part.numpy().reshape(shape) for part, shape in zip(self._parts, self._shapes, strict=True)]
        ends = np.cumsum([int(np.prod(shape)) for shape in self._shapes])
        pieces = np.split(self._parts[0].numpy(), ends[:-1])
        return [piece.reshape(shape) for piece, shape in zip(pieces, self._shapes, strict=True)]
