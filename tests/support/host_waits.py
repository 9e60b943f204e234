"""A stand-in for a GPU that counts what the host would wait for: torch's meta device, watched.

Tensors of the meta device have no numbers, and like those of a GPU they refuse to be mixed with the host's. Work that
runs on them shows what would be asked of a GPU; what is read is answered with zeros, so that the work goes on.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

THERE = torch.device("meta")
COUNTED = ("nonzero", "masked_select", "unique_dim", "_unique2", "_linalg_eigh", "_linalg_solve_ex", "linalg_inv_ex")
"""What torch waits for on a GPU: its result's size is known there alone, or whether it could be done."""
MADE = (torch.tensor, torch.as_tensor, torch.asarray)
MADE_ALIKE = (torch.Tensor.new_tensor,)


class HostWaits:
    """While it lasts, every wait is noted: reads, sizes that only the device knows, copies that block."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._modes = ExitStack()

    def __enter__(self) -> HostWaits:
        self._modes.enter_context(_Functions(self.note))
        self._modes.enter_context(_Operators(self.note))
        return self

    def __exit__(self, *error: object) -> None:
        self._modes.close()

    def note(self, what: str) -> None:
        """One wait, with the line of gtalk, or else of a test, that asks for it."""
        frames = [f for f in traceback.extract_stack() if "/torch/" not in f.filename and f.filename != __file__]
        own = [f for f in frames if "/gtalk/" in f.filename.replace("/tests/", "/")] or frames
        self.found.append(f"{what}: {own[-1].filename.rpartition('/gtalk/')[2]}:{own[-1].lineno} {own[-1].line}")

    @property
    def count(self) -> int:
        """How many there were."""
        return len(self.found)


class _Operators(TorchDispatchMode):
    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__()
        self._note = note

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        tensors = [a for a in args if isinstance(a, torch.Tensor)]
        there = any(t.is_meta for t in tensors)
        first: Any = tensors[0] if tensors else None
        if name == "_to_copy" and first is not None:
            target = torch.device(kwargs.get("device") or first.device)
            if first.is_meta and target.type == "cpu":
                if not kwargs.get("non_blocking"):  # else torch takes page-locked memory, and nobody waits here
                    self._note("read")
                return torch.zeros(first.shape, dtype=kwargs.get("dtype") or first.dtype)
            if not first.is_meta and target.type == "meta" and not kwargs.get("non_blocking"):
                self._note("copy that blocks")
        elif name == "copy_" and len(tensors) == 2 and tensors[0].is_meta != tensors[1].is_meta:
            if not (len(args) > 2 and args[2]) and not kwargs.get("non_blocking"):
                self._note("read" if tensors[1].is_meta else "copy that blocks")
            if tensors[1].is_meta:
                return tensors[0].zero_()
        elif there and name == "_local_scalar_dense":
            self._note("number read")
            return {torch.bool: False}.get(tensors[0].dtype, 0.0 if tensors[0].is_floating_point() else 0)
        elif there and name in ("index", "index_put", "index_put_", "_index_put_impl_"):
            for place in (p for p in args[1] if p is not None):
                if place.dtype in (torch.bool, torch.uint8):
                    self._note("size read")
                    if name == "index":
                        return tensors[0].new_empty(0, *tensors[0].shape[place.ndim :])
                elif not place.is_meta:
                    self._note("copy that blocks")
        elif there and (name in COUNTED or (name == "repeat_interleave" and not kwargs.get("output_size"))):
            self._note("size read")
            if name == "nonzero":
                return tensors[0].new_empty(0, tensors[0].ndim, dtype=torch.int64)
        return func(*args, **kwargs)


class _Functions(TorchFunctionMode):
    """What operators do not show: tensors made of the host's numbers, and lists as indices."""

    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__()
        self._note = note

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        device = kwargs.get("device")
        made = func in MADE and device is not None and torch.device(device).type == "meta"
        if made and not (isinstance(args[0], torch.Tensor) and args[0].is_meta):
            self._note("copy that blocks")
            if func is torch.tensor or not isinstance(args[0], torch.Tensor):
                return torch.empty(torch.as_tensor(args[0]).shape, dtype=kwargs.get("dtype"), device="meta")
        if func in MADE_ALIKE and args[0].is_meta:
            self._note("copy that blocks")
        if func is torch.Tensor.__getitem__ and args[0].is_meta:
            places = args[1] if isinstance(args[1], tuple) else (args[1],)
            if any(isinstance(place, list) for place in places):
                self._note("copy that blocks")
        return func(*args, **kwargs)
