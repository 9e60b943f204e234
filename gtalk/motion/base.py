"""What every source of predicted motion can do: offline and live are the same stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from gtalk.basis import MotionBasis
from gtalk.shapes import Float
from gtalk.speech.known_phones import KnownPhones
from gtalk.types import Motion


@runtime_checkable
class MotionStream(Protocol):
    """One running utterance. Frame i of all that it returns is the instant i / fps of all that was pushed."""

    def push(self, samples: Float[np.ndarray, " N"]) -> Motion:
        """Take samples (mono, AUDIO_RATE, any number) and return the frames that are now certain (0 or more)."""
        ...

    def finish(self) -> Motion:
        """No more samples: return the remaining frames, ceil(samples * fps / AUDIO_RATE) in all."""
        ...


@runtime_checkable
class KnowingStream(MotionStream, Protocol):
    """A stream that can be told what is said, as by a synthesiser: then it need not guess it from the sound."""

    def know(self, phones: KnownPhones) -> None:
        """Phones in seconds since the stream began; before their sound is pushed."""
        ...

    def forget(self) -> None:
        """What is being said is cut off: neither it nor what was told is said to its end."""
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
class HasLive(MotionModel, Protocol):
    """A model that looks further ahead in a file than a conversation can bear."""

    def for_live(self) -> MotionModel:
        """The same person in a hurry."""
        ...


@runtime_checkable
class MotionEdit(Protocol):
    """A change of motion on its way to the renderer: smoothing, intensity, LLE, gaze, a score.

    It belongs to one session and may keep state; how the frames are cut into pieces must not change the result.
    """

    def __call__(self, motion: Motion, start_frame: int = 0) -> Motion:
        """The edited frames, as many as came in.

        Args:
            motion: the next frames; none is seen twice, none is left out.
            start_frame: number of the first since the session began. Frame i is the instant
                (start_frame + i) / motion.fps, the same number however the frames were cut.
        """
        ...


@runtime_checkable
class EventEdit(MotionEdit, Protocol):
    """An edit that is told things while it runs: another control, a word of a score that came late."""

    def receive(self, event: object) -> None:
        """An event for the frames that are still to come. Kinds that an edit does not know are not for it."""
        ...


EditFactory = Callable[[], MotionEdit]
"""Makes a fresh edit for a session, so that two sessions of one talker know nothing of each other."""


class EditChain:
    """The edits of one session, applied in order, and the number of the next frame."""

    def __init__(self, factories: Sequence[EditFactory]) -> None:
        self.edits = tuple(make() for make in factories)
        self.next_frame = 0
        """Number of the frame that comes next: the first that an event can still change."""

    def __call__(self, motion: Motion) -> Motion:
        """The next frames, edited."""
        count = len(motion)
        if count:
            for edit in self.edits:
                motion = edit(motion, self.next_frame)
            self.next_frame += count
        return motion

    def post(self, event: object) -> int:
        """Tell every edit that can be told; the number of the first frame that it can still change."""
        for edit in self.edits:
            if isinstance(edit, EventEdit):
                edit.receive(event)
        return self.next_frame
