"""What is made of one decided moment: an image, or numbers for pages that draw by themselves."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gtalk.direct.look import Look
from gtalk.direct.score import Event
from gtalk.marks.label import labelled
from gtalk.shapes import UInt8
from gtalk.talk import PLATE, MotionFrame, Talks, View
from gtalk.types import AUDIO_RATE, Frame, Motion
from gtalk.viewer.live.frames import Wanted, encode_jpeg

Numbers = Callable[[Motion], bytes]
"""One frame of motion as a page takes it that draws: `gtalk.export.web.rows.pack_row`."""


class Made(NamedTuple):
    """What listeners get of a moment; None for what nobody asked for, or what failed."""

    frame: Frame | None = None
    jpeg: bytes | None = None
    labelled_jpeg: bytes | None = None
    numbers: bytes | None = None


class Pictures:
    """Makes what is seen of the moments of one talker.

    Args:
        leaving: what is done to every image before it leaves: the mark.
        numbers: what pages that draw are told; None where none can.
    """

    def __init__(
        self,
        talker: Talks,
        leaving: Callable[[UInt8[np.ndarray, "H W 3"]], UInt8[np.ndarray, "H W 3"]],
        numbers: Numbers | None = None,
    ) -> None:
        self._talker, self._leaving, self._numbers = talker, leaving, numbers
        self._look, self._lock = Look(), threading.Lock()

    def direct(self, event: object) -> None:
        """Obey the look that a score, or an event, asks for."""
        with self._lock:
            self._look.receive(event)

    def begin_anew(self) -> None:
        """Forget what was asked for."""
        with self._lock:
            self._look = Look()

    def make(self, moment: MotionFrame, view: View, quality: int, wanted: Wanted) -> Made:
        """Draw, or say what to draw. A page cannot do another background than the clip's own, nor a score's look:
        it is sent an image then.
        """
        numbers = None
        plain = isinstance(view.background, str) and view.background == PLATE and not self._look.asks(moment.time_s)
        if wanted.numbers and self._numbers is not None and plain:
            numbers = self._numbers(moment.motion)
        if wanted.late or not (wanted.images or (wanted.numbers and numbers is None)):
            return Made(numbers=numbers)
        frame, fps = self._talker.draw([moment], view)[0], self._talker.fps
        with self._lock:
            rgb, alpha = self._look(frame.rgb, frame.alpha, round(moment.time_s * fps), fps)
        frame = dataclasses.replace(frame, rgb=self._leaving(rgb), alpha=alpha)
        said = encode_jpeg(labelled(frame.rgb), quality) if wanted.labelled else None
        return Made(frame, encode_jpeg(frame.rgb, quality) if wanted.encoded else None, said, numbers)


def warm_face(talker: Talks, view: View) -> None:
    """Have made what expressions are drawn with, which takes seconds once, before anybody waits for it."""
    session = talker.session()
    session.post(Event("emotion.smile", 0.5))
    talker.draw(session.advance(np.zeros(AUDIO_RATE, np.float32))[-1:], view)
