"""The ticks of a session as one picture track and one sound track on one clock.

    LiveSession ─▶ Listener ─▶ Feed ─┬─▶ PictureTrack   tick k at k / fps
                                     └─▶ SoundTrack     the same instant: its samples, 20 ms a packet

Both count from the feed's first tick, so that a picture carries the timestamp of the sound it was drawn for. Receivers
lay the two beside each other by when packets left (RTCP sender reports), so each leaves at its own time: the second
packet of a tick 20 ms after the first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial

import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from gtalk.marks.label import labelled
from gtalk.media.raw import PICTURE_CLOCK_HZ, picture_frame, sound_frame
from gtalk.types import AUDIO_RATE
from gtalk.viewer.live.frames import Listener, LiveFrame
from gtalk.viewer.live.onwards import Onwards
from gtalk.viewer.live.session import LiveSession

_PACKET = AUDIO_RATE // 50  # samples of an Opus packet
_HEAD = 40  # samples of silence first: Opus's resampler keeps so many back, and would wait for another packet
_WAITING = 6  # packets of sound, three ticks: who is slower loses the oldest


class PictureTrack(MediaStreamTrack):
    """The newest picture that was not sent yet."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._newest: LiveFrame | None = None
        self._ticks = 0
        self._there = asyncio.Event()
        self.label = False

    def put(self, frame: LiveFrame, time_s: float) -> None:
        """Offer a picture of `time_s` since the first tick."""
        self._newest, self._ticks = frame, round(time_s * PICTURE_CLOCK_HZ)
        self._there.set()

    async def recv(self):
        """See aiortc."""
        await self._there.wait()
        self._there.clear()
        if self.readyState != "live" or self._newest is None or self._newest.picture is None:
            raise MediaStreamError
        rgb = self._newest.picture.rgb
        return picture_frame(labelled(rgb) if self.label else rgb, self._ticks)

    def stop(self) -> None:
        """End it."""
        super().stop()
        self._there.set()


class SoundTrack(MediaStreamTrack):
    """The sound of the ticks, silence where the page would play none."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._packets: deque[tuple[float, int, np.ndarray]] = deque(maxlen=_WAITING)
        self._there = asyncio.Event()
        self._head = np.zeros(_HEAD, np.float32)

    def put(self, samples: np.ndarray, time_s: float) -> None:
        """Offer the sound of a tick of `time_s` since the first."""
        now_s, first = asyncio.get_running_loop().time(), round(time_s * AUDIO_RATE)
        for begin in range(0, len(samples), _PACKET):
            piece = np.pad(samples[begin : begin + _PACKET], (0, max(0, begin + _PACKET - len(samples))))
            self._packets.append((now_s + begin / AUDIO_RATE, first + begin, piece))
        self._there.set()

    def forget(self) -> None:
        """Somebody cut in: what waits is silence."""
        for _, _, samples in self._packets:
            samples[:] = 0

    async def recv(self):
        """See aiortc."""
        while not self._packets and self.readyState == "live":
            self._there.clear()
            await self._there.wait()
        if self.readyState != "live":
            raise MediaStreamError
        loop = asyncio.get_running_loop()
        if (wait_s := self._packets[0][0] - loop.time()) > 0:
            await asyncio.sleep(wait_s)
        _, first, samples = self._packets.popleft()
        head, self._head = self._head, self._head[:0]
        return sound_frame(np.concatenate([head, samples]), first - len(head), AUDIO_RATE)

    def stop(self) -> None:
        """End it."""
        super().stop()
        self._there.set()


class Feed:
    """Listens to a session for the two tracks of one peer. Ticks whose sound is not a whole number of packets
    (another frame rate than 25) are cut where they fall. `everything`: also the sound of a microphone that drives
    the face, which its own visitor must not hear.
    """

    def __init__(self, session: LiveSession, *, label: bool, everything: bool = False) -> None:
        self._everything = everything
        self.pictures, self.sound = PictureTrack(), SoundTrack()
        self.pictures.label = label
        self._session, self._there = session, asyncio.Event()
        self._listener: Listener = session.listen(partial(_wake, asyncio.get_running_loop(), self._there), encodes=True)
        self._onwards = Onwards()
        self._left = np.zeros(0, np.float32)  # of a tick, less than a packet
        self._task = asyncio.create_task(self._follow())

    def close(self) -> None:
        """Listen no more and end the tracks."""
        self._session.leave(self._listener)
        self._task.cancel()
        self.pictures.stop()
        self.sound.stop()

    async def _follow(self) -> None:
        while True:
            await self._there.wait()
            self._there.clear()
            if self._listener.flushed:
                self._listener.flushed = False
                self._left = np.zeros_like(self._left)
                self.sound.forget()
            while self._listener.frames:
                self._take(self._listener.frames.popleft())

    def _take(self, frame: LiveFrame) -> None:
        time_s = self._onwards(frame)
        samples = frame.samples if frame.audible or self._everything else np.zeros_like(frame.samples)
        joined = np.concatenate([self._left, samples])
        whole = len(joined) // _PACKET * _PACKET
        self.sound.put(joined[:whole].copy(), time_s - len(self._left) / AUDIO_RATE)
        self._left = joined[whole:]
        if frame.picture is not None:
            self.pictures.put(frame, time_s)


def _wake(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(event.set)
