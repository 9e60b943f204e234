"""What the adapters to agents' frameworks share: their voice's sound in, picture and sound in step out.

    pcm of a voice ─▶ Mouthpiece.say ─▶ LiveSession ─▶ Mouthpiece.ticks ─▶ Tick{picture, sound, position}

A session lives all the time, so ticks come all the time: with silence and an idle face where nothing is said.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from gtalk.marks.label import labelled
from gtalk.shapes import Float, UInt8
from gtalk.types import AUDIO_RATE
from gtalk.viewer.audio.sources import PushSource, check_rate
from gtalk.viewer.live.frames import LiveFrame
from gtalk.viewer.live.session import LiveSession

LIMIT_S = 600.0
"""Of one utterance that waits to be said."""


@dataclass(frozen=True)
class Tick:
    """A picture and its sound."""

    rgb: UInt8[np.ndarray, "H W 3"] | None
    """None where it came too late to be drawn: its sound is still played."""
    samples: Float[np.ndarray, " N"]
    """At AUDIO_RATE."""
    speaking: bool
    position_s: float
    """Of the utterance that is said: so much of it was handed out, this tick included."""
    ended: bool
    """The last tick of an utterance."""


class Mouthpiece:
    """One voice through one session. For one event loop.

    Args:
        session: a live face that nothing else speaks through.
        label: whether words in its pictures say that it is generated: no page around them does.
    """

    def __init__(self, session: LiveSession, *, label: bool = True) -> None:
        self._session, self._label = session, label
        self._loop = asyncio.get_running_loop()
        self._there = asyncio.Event()
        self._listener = session.listen(partial(_wake, self._loop, self._there), encodes=True)
        self._said: deque[PushSource] = deque()  # utterances not yet shown to their end; the last may be open
        self._position_s = 0.0

    def say(self, pcm: bytes, rate: int, channels: int = 1) -> None:
        """More 16-bit sound of the open utterance; begins one where none is. Raises UserError for a strange rate."""
        samples = np.frombuffer(pcm[: len(pcm) // (2 * channels) * 2 * channels], "<i2").astype(np.float32) / 32768
        check_rate(rate)
        if not self._said or self._said[-1].closed:
            self._said.append(PushSource("an agent's voice", audible=True, bounded=False, limit_s=LIMIT_S))
            if len(self._said) == 1:
                self._session.play(self._said[0])
        self._said[-1].push(samples.reshape(-1, channels).mean(1), rate)

    def end(self) -> None:
        """The utterance is complete; what waits of it is said."""
        if self._said:
            self._said[-1].close()

    @property
    def position_s(self) -> float:
        """Of the utterance that is said: so much of it was handed out."""
        return self._position_s

    @property
    def n_waiting(self) -> int:
        """Utterances that were begun and not yet handed out to their end."""
        return len(self._said)

    @property
    def speaking(self) -> bool:
        """Whether anything is said, or waits to be."""
        return bool(self._said)

    def cut(self) -> float:
        """Be quiet now, whatever waits; how much of the utterance was handed out, in seconds."""
        position_s, self._position_s = self._position_s, 0.0
        said, self._said = self._said, deque()
        for source in said:
            source.close()
        if said:
            self._session.interrupt()
        self._listener.frames.clear()
        return position_s

    async def ticks(self) -> AsyncIterator[Tick]:
        """Picture and sound as they are made, until `close`."""
        while True:
            await self._there.wait()
            self._there.clear()
            self._listener.flushed = False
            while self._listener.frames:
                yield self._tick(self._listener.frames.popleft())

    def close(self) -> None:
        """Listen no more."""
        self._session.leave(self._listener)

    def _tick(self, frame: LiveFrame) -> Tick:
        samples = frame.samples if frame.audible else np.zeros_like(frame.samples)
        rgb = None if frame.picture is None else frame.picture.rgb
        if rgb is not None and self._label:
            rgb = labelled(rgb)
        if not self._said:
            return Tick(rgb, samples, False, 0.0, False)
        source = self._said[0]
        if frame.source is source:
            self._position_s = frame.said_s
        position_s = self._position_s
        ended = source.all_shown and (frame.source is not source or round(frame.said_s * AUDIO_RATE) >= source.n_read)
        if ended:
            self._said.popleft()
            self._position_s = 0.0
            if self._said:
                self._session.play(self._said[0])
        return Tick(rgb, samples, True, position_s, ended)


def _wake(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(event.set)
