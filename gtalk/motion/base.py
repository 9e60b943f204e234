"""What every source of predicted motion can do: offline and live are the same stream."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from gtalk.basis import MotionBasis
from gtalk.shapes import Float
from gtalk.types import Motion


@runtime_checkable
class MotionStream(Protocol):
    """One running utterance. Frame i of all that it returns is the instant i / fps of all that was pushed."""

    def push(self, samples: Float[np.ndarray, " N"]) -> Motion:
        """Utterance samples (mono, AUDIO_RATE, any number) and return the frames that are now certain (0 or more)."""
        ...

    def finish(self) -> Motion:
        """No more samples: return the remaining frames, ceil(samples * fps / AUDIO_RATE) in all."""
        ...


@runtime_checkable
class MotionModel(Protocol):
    """Turns speech into motion for one person."""

    @property
    def fps(self) -> float:
        """Frames a second that come out."""
        ...

    @property
    def basis(self) -> MotionBasis:
        """The person's."""
        ...

    @property
    def lookahead_s(self) -> float:
        """How much audio after an instant is needed before its frame is certain."""
        ...

    def stream(self, seed: int = 0) -> MotionStream:
        """A fresh stream. The seed chooses the head motion, gaze and blinks."""
        ...


@runtime_checkable
class MotionEdit(Protocol):
    """A change of motion on its way to the renderer: smoothing, intensity, LLE, gaze, pose offset.

    Edits may keep state between calls; chunking must not change the result.
    """

    def __call__(self, motion: Motion) -> Motion:
        """The edited frames, as many as came in."""
        ...

    def reset(self) -> None:
        """Forget the past: a new utterance begins."""
        ...
