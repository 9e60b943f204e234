"""What is needed of whoever talks in a live session: one avatar's `Talker`, or several people who are one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from gtalk.avatar.base import Sitter
from gtalk.motion.base import MotionModel
from gtalk.shapes import Float, Shaped
from gtalk.speech.known_phones import KnownPhones
from gtalk.talk.view import View
from gtalk.types import Frame, Motion


@dataclass(frozen=True)
class MotionFrame:
    """A frame that is decided but not drawn: its motion and the sound that belongs to it."""

    time_s: float
    motion: Motion
    """One frame."""
    samples: Float[np.ndarray, " N"]


@runtime_checkable
class Conversation(Protocol):
    """A running utterance: samples in, moments out. See `TalkSession`, which is that of one."""

    @property
    def n_bad_samples(self) -> int:
        """Samples that were NaN or infinite; they were taken as silence."""
        ...

    def post(self, event: object) -> float:
        """Tell the edits something. Returns the instant of the first frame that it can still change, seconds."""
        ...

    def know(self, phones: KnownPhones) -> None:
        """What is said, told before its sound is pushed."""
        ...

    def interrupt(self) -> None:
        """Someone cuts in."""
        ...

    def advance(self, samples: Shaped[np.ndarray, "..."]) -> list[MotionFrame]:
        """Take mono samples at AUDIO_RATE; return the moments that are now decided."""
        ...

    def end(self) -> list[MotionFrame]:
        """No more samples: the remaining moments."""
        ...


@runtime_checkable
class TakesTurns(Protocol):
    """A session of several who speak one after another."""

    def give_word(self, name: str) -> None:
        """The next sound is said by this one; by nobody where the name is none of theirs."""
        ...


@runtime_checkable
class Talks(Protocol):
    """Who can be talked with live."""

    seed: int
    fps: float
    view: View
    """How images look where no other view is asked for."""

    @property
    def avatar(self) -> Sitter:
        """Whom pictures show."""
        ...

    @property
    def motion_model(self) -> MotionModel | None:
        """What listens; None when only motion files are rendered."""
        ...

    def warm(self) -> None:
        """Have made what the first who cuts in would wait for."""
        ...

    def session(self) -> Conversation:
        """A fresh utterance."""
        ...

    def draw(self, moments: Sequence[MotionFrame], view: View | None = None) -> list[Frame]:
        """Images of decided moments, in its own view or another one."""
        ...
