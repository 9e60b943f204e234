"""Training images at the training size: decoded on demand, kept as bytes within a memory budget."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
import torch

from gtalk.compute.device import sent
from gtalk.dataset.format import Dataset
from gtalk.shapes import UInt8
from gtalk.types import Motion


@dataclass(frozen=True)
class TrainingFrame:
    """One instant of the clip at the training size."""

    index: int
    """Frame number in the dataset."""
    rgb: UInt8[np.ndarray, "H W 3"]
    matte: UInt8[np.ndarray, "H W"]
    """Soft coverage by the person, 255 = fully."""
    labels: UInt8[np.ndarray, "H W"]
    """MaskClass of every pixel."""
    motion: Motion
    """One frame of tracked motion."""
    face: UInt8[np.ndarray, "H W"] | None = None
    """Where the frame says something of the person, 255, and where not: in frames of an expression take."""


@runtime_checkable
class Take(Protocol):
    """Frames that another recording adds: see `gtalk.fit.take`."""

    def read(self, index: int, number: int) -> TrainingFrame:
        """Frame `index` of it, called `number`."""
        ...


class FrameCache:
    """Frames of a dataset at `size` = (width, height); the least recently used go when the budget is full."""

    def __init__(
        self, dataset: Dataset, size: tuple[int, int], budget_mb: float = 640.0, take: Take | None = None
    ) -> None:
        """`take`: whose frame i is asked for as `dataset.n_frames` + i."""
        self.dataset, self.size, self.take = dataset, size, take
        self.motion = dataset.motion
        self.capacity = max(1, int(budget_mb * 1e6 / (size[0] * size[1] * 5)))
        self._kept: OrderedDict[int, TrainingFrame] = OrderedDict()

    def __getitem__(self, index: int) -> TrainingFrame:
        frame = self._kept.get(index)
        if frame is None:
            frame = self._read(index)
            while len(self._kept) >= self.capacity:
                self._kept.popitem(last=False)
            self._kept[index] = frame
        self._kept.move_to_end(index)
        return frame

    def _read(self, index: int) -> TrainingFrame:
        if self.take is not None and index >= self.dataset.n_frames:
            return self.take.read(index - self.dataset.n_frames, index)
        rgb, matte = self.dataset.frame(index), self.dataset.matte(index)
        labels = self.dataset.labels(index)
        if (rgb.shape[1], rgb.shape[0]) != self.size:
            rgb = cv2.resize(rgb, self.size, interpolation=cv2.INTER_AREA)
            matte = cv2.resize(matte, self.size, interpolation=cv2.INTER_AREA)
            labels = cv2.resize(labels, self.size, interpolation=cv2.INTER_NEAREST)
        return TrainingFrame(index, rgb, matte, labels, self.motion[index])


class ResidentFrames:
    """Frames as bytes on the device that learns from them: each is sent once, as long as there is room."""

    SHARE = 0.5  # of the memory that a GPU has free when the first frame comes

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._kept: dict[int, tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = {}
        self._room = 0 if device.type == "cpu" else -1  # bytes; -1: not asked yet

    def __getitem__(
        self, frame: TrainingFrame
    ) -> tuple[UInt8[torch.Tensor, "H W 3"], UInt8[torch.Tensor, "H W"], UInt8[torch.Tensor, "H W"]]:
        """rgb, matte, labels."""
        if frame.index in self._kept:
            return self._kept[frame.index]
        rgb, matte, labels = (sent(v, self.device) for v in (frame.rgb, frame.matte, frame.labels))
        if self._room < 0:
            free = torch.cuda.mem_get_info(self.device)[0] if self.device.type == "cuda" else 1 << 30
            self._room = int(self.SHARE * free)
        if self._room >= 5 * matte.numel():
            self._room -= 5 * matte.numel()
            self._kept[frame.index] = rgb, matte, labels
        return rgb, matte, labels
