"""What the trainer needs of a model. The radiance field and the Gaussians both are one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from gtalk.avatar.base import Avatar
from gtalk.basis import MotionBasis
from gtalk.dataset.format import Dataset
from gtalk.fit.frames import FrameCache, TrainingFrame
from gtalk.fit.take import TakeFrames
from gtalk.shapes import Float, Int
from gtalk.types import Camera, Motion


@dataclass(frozen=True)
class FitContext:
    """What a model may look at while it prepares. Held-out frames are not among `indices`."""

    dataset: Dataset
    frames: FrameCache
    indices: Int[np.ndarray, " N"]
    """Frame numbers it may learn from."""
    basis: MotionBasis
    camera: Camera
    """The dataset's camera at the training size."""
    seed: int
    take: TakeFrames | None = None
    """Frames of an expression take; frame i of it is `dataset.n_frames` + i of `frames`."""

    @property
    def numbers(self) -> Int[np.ndarray, " M"]:
        """What all frames are called that may be learned from, the take's last."""
        more = [] if self.take is None else [self.dataset.n_frames + self.take.indices]
        return np.concatenate([self.indices, *more])

    @cached_property
    def face_motion(self) -> Motion:
        """Of `numbers`, with the channels that both recordings have."""
        clip = self.dataset.motion[self.indices]
        return clip if self.take is None else Motion.concatenate([clip, self.take.usable])


@dataclass(frozen=True)
class StepResult:
    """What one training step reports."""

    loss: float
    squared_error: float
    """Mean squared colour error over the pixels looked at, colours in [0, 1]."""
    terms: dict[str, float]


@dataclass(frozen=True)
class LateResult:
    """A step's result that is still on a device: to read it is to wait for all that the device was asked."""

    values: Float[torch.Tensor, " V"]
    read: Callable[[list[float]], StepResult]
    """Makes the result of the values."""


@runtime_checkable
class Model(Protocol):
    """A renderer that can be fitted. It owns its parameters and its optimiser.

    Everything random comes from the generator passed to `train_step`; given the same `FitContext`,
    `prepare` must do the same, since a resumed fit runs it again before `load_state`.
    """

    kind: str
    learns_faces: bool
    """Whether frames in which only the face is looked at can be learned from: those of an expression take."""

    def prepare(self, context: FitContext) -> None:
        """Build parameters and whatever the data determines (occupancy, seeds, plates)."""
        ...

    def train_step(self, frames: list[TrainingFrame], progress: float, rng: torch.Generator) -> StepResult | LateResult:
        """One optimiser step on the images given. `progress` runs from 0 to 1 over the fit."""
        ...

    def state(self) -> dict[str, torch.Tensor]:
        """Everything that changes during a fit, by name: parameters, optimiser, occupancy, counters."""
        ...

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Inverse of `state`, after `prepare`."""
        ...

    def slow_down(self, factor: float) -> None:
        """Multiply every learning rate from now on (after a rollback). Part of `state`."""
        ...

    def avatar(self) -> Avatar:
        """What has been learned so far, ready to render."""
        ...

    def config_mapping(self) -> dict[str, Any]:
        """The model's own config as plain values: a checkpoint of another config is not resumed."""
        ...
