"""What a live session hands to those who look at it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np

from gtalk.basis import lip_gap
from gtalk.shapes import Float, UInt8
from gtalk.talk import MotionFrame
from gtalk.viewer.audio.sources import AudioSource


class Picture(NamedTuple):
    """An image as it leaves, mark included."""

    rgb: UInt8[np.ndarray, "H W 3"]
    alpha: UInt8[np.ndarray, "H W"]


class Wanted(NamedTuple):
    """What is asked for of a moment."""

    images: bool
    labelled: bool
    numbers: bool
    encoded: bool = True
    """Somebody takes images as JPEG."""
    late: bool = False
    """Too late for an image, which takes time."""


@dataclass(frozen=True)
class LiveFrame:
    """What listeners get each tick."""

    time_s: float
    """Media time that the image shows and the sound starts at."""
    jpeg: bytes | None
    """None for a dropped image: its sound is still played."""
    labelled_jpeg: bytes | None
    """The image with words that say what it is, where a listener wants that."""
    samples: Float[np.ndarray, " N"]
    audible: bool
    """Whether the page plays the sound."""
    aperture: float
    """Opening of the inner lips in parts of the outer eye distance."""
    pitch_hz: float = 0.0
    """Pitch of the sound; 0 where it has none."""
    heard_ms: float = math.nan
    """When the sound was captured, on the clock of the page that captured it; NaN for any other sound."""
    source: AudioSource | None = None
    """What was speaking."""
    numbers: bytes | None = None
    """What a page that draws itself is told instead of the image."""
    picture: Picture | None = None
    """The image itself, where a listener asked for that."""
    said_s: float = 0.0
    """So much of `source` is said when this image's time is over."""


@dataclass
class Listener:
    """A bounded queue of one viewer. When it is full, its oldest frame goes."""

    wake: Callable[[], None]
    labelled: bool = False
    """Whether its images are to say in words what they are: where no page around them does."""
    draws: bool = False
    """Whether it takes numbers and draws by itself."""
    apart: bool = False
    """Whether it gets picture and sound another way."""
    encodes: bool = False
    """Whether it takes images as they are and encodes them itself."""
    flushed: bool = False
    """Someone cut in since the last look: what was handed out and not yet played is to be forgotten."""
    frames: deque[LiveFrame] = field(default_factory=lambda: deque(maxlen=12))


class Audience:
    """The listeners of a session, which calls it under its lock."""

    def __init__(self) -> None:
        self.listeners: tuple[Listener, ...] = ()

    def __len__(self) -> int:
        return len(self.listeners)

    def enter(self, listener: Listener) -> None:
        """One more."""
        self.listeners += (listener,)

    def leave(self, listener: Listener) -> None:
        """One less."""
        self.listeners = tuple(other for other in self.listeners if other is not listener)

    def hand(self, frame: LiveFrame) -> None:
        """One tick for everybody."""
        for listener in self.listeners:
            listener.frames.append(frame)
            listener.wake()

    def forget(self) -> None:
        """What was handed out and not yet played is over."""
        for listener in self.listeners:
            listener.frames.clear()
            listener.flushed = True
            listener.wake()

    def wants(self, *, recorded: bool, late: bool) -> Wanted:
        """What somebody asks for; `recorded`: somebody else takes every image."""
        listeners = self.listeners
        images = [listener for listener in listeners if not (listener.draws or listener.apart)]
        return Wanted(
            bool(images) or recorded,
            any(listener.labelled for listener in images),
            any(listener.draws for listener in listeners),
            any(not listener.encodes for listener in listeners),
            late,
        )


def aperture_of(moment: MotionFrame) -> float:
    """Mean opening of the inner lips in parts of the outer eye distance."""
    lips = moment.motion.landmarks[0]
    return float(lip_gap(lips) / max(float(np.linalg.norm(lips[36] - lips[45])), 1e-9))


def encode_jpeg(rgb: UInt8[np.ndarray, "H W 3"], quality: int) -> bytes:
    """JPEG of an image."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return data.tobytes()
