"""Where live speech comes from: one protocol for microphone, file, stream and text."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from gtalk.errors import UserError
from gtalk.shapes import Float
from gtalk.types import AUDIO_RATE
from gtalk.viewer.audio.resample import LiveResampler

_LIVE_LIMIT_S = 0.4  # a microphone's buffer: past this the oldest sound is skipped
RATES_HZ = (4000, 192_000)


@runtime_checkable
class AudioSource(Protocol):
    """A stream of mono samples at AUDIO_RATE, drawn a frame at a time by the live session."""

    name: str
    audible: bool
    """Whether the page plays it: a file or a text yes, the visitor's own voice no (it would echo)."""

    def read(self, count: int) -> Float[np.ndarray, " N"] | None:
        """Up to `count` samples that are ready now, fewer when there are fewer; None when it has ended."""
        ...


class PushSource:
    """Samples pushed from elsewhere in pieces of any size and rate: browser or local microphone, a client's stream.

    Its buffer is bounded either way. `bounded=True` is for a microphone: what is older than 0.4 s is
    skipped, because it is no longer live. `bounded=False` is for speech made faster than real time (a TTS
    that pushes a whole sentence): that waits in the buffer, up to `limit_s`.
    """

    def __init__(
        self,
        name: str,
        *,
        audible: bool,
        bounded: bool = True,
        limit_s: float = 120.0,
        echo_cancelled: bool = False,
        speaker: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.audible, self.live, self._clock = name, audible, bounded, clock
        self.speaker = speaker
        """Which of several faces says it."""
        self.echo_cancelled = echo_cancelled
        """Whether the avatar's own voice was removed from it beforehand, as browsers do."""
        self._limit = round((_LIVE_LIMIT_S if bounded else limit_s) * AUDIO_RATE)
        self._pieces: deque[np.ndarray] = deque()
        self._ready = 0
        self.n_read = 0
        """Samples that left the buffer, heard or skipped."""
        self._n_shown = 0
        self._closed = False
        self._more = threading.Condition()
        self._rate = AUDIO_RATE
        self._resample: LiveResampler | None = None
        self._pushed = 0.0  # samples at AUDIO_RATE that were pushed, those inside the resampler included
        self._marks: deque[tuple[float, float]] = deque(maxlen=256)  # (sample, when it was captured)
        self.heard_ms = math.nan
        """When the first sample of the last `read` was captured, on the clock of who pushed it."""
        self.n_skipped = 0
        """Samples dropped because the buffer was full."""
        self._arrived: deque[tuple[int, float]] = deque(maxlen=64)  # (samples so far, when they were there)

    def push(self, samples: Float[np.ndarray, " N"], rate: int = AUDIO_RATE, captured_ms: float = math.nan) -> None:
        """Append samples at `rate`; a changed rate begins a new resampler. NaN becomes silence."""
        samples = np.nan_to_num(np.asarray(samples, np.float32), nan=0.0, posinf=0.0, neginf=0.0).clip(-1, 1)
        if rate != self._rate:
            self._resample = _resampler(rate)
            self._rate, self._pushed = rate, float(self.n_read + self._ready)
        duration = len(samples) * AUDIO_RATE / rate
        if self._resample is not None:
            samples = self._resample(samples)
        with self._more:
            self._marks.append((self._pushed, captured_ms))
            self._pushed += duration
            self._pieces.append(samples)
            self._ready += len(samples)
            self._arrived.append((self.n_read + self._ready, self._clock()))
            most = self._limit if self.live else self._limit + len(samples)  # who waits for room loses nothing
            while self._ready > most and len(self._pieces) > 1:
                self._skip(len(self._pieces[0]))
            self._more.notify_all()

    def read(self, count: int) -> Float[np.ndarray, " N"] | None:
        """See AudioSource."""
        with self._more:
            if self._closed and not self._ready:
                return None
            self.heard_ms = self._captured_ms(self.n_read)
            taken, left = [], count
            while left and self._pieces:
                piece = self._pieces.popleft()
                taken.append(piece[:left])
                if len(piece) > left:
                    self._pieces.appendleft(piece[left:])
                left -= len(taken[-1])
            self._ready -= count - left
            self.n_read += count - left
            return np.concatenate(taken) if taken else np.zeros(0, np.float32)

    def waited_s(self, count: int) -> float:
        """For how long the next `count` samples have been there; 0 where they are not."""
        with self._more:
            wanted = self.n_read + count
            since_s = next((at_s for total, at_s in self._arrived if total >= wanted), None)
            return 0.0 if since_s is None or self._ready < count else self._clock() - since_s

    def wait(self, count: int, timeout_s: float) -> float:
        """Wait until `count` samples are ready; returns the seconds that it took."""
        begin = time.monotonic()
        with self._more:
            self._more.wait_for(lambda: self._ready >= count or self._closed, timeout_s)
        return time.monotonic() - begin

    def keep(self, seconds: float) -> None:
        """Skip the oldest sound until no more than this waits."""
        with self._more:
            self._skip(max(0, self._ready - round(seconds * AUDIO_RATE)))

    @property
    def buffered_s(self) -> float:
        """Seconds of sound that wait."""
        return self._ready / AUDIO_RATE

    @property
    def shown_s(self) -> float:
        """Seconds of it whose images were shown."""
        return self._n_shown / AUDIO_RATE

    @property
    def all_shown(self) -> bool:
        """Closed, and shown to the end."""
        return self.ended and self._n_shown >= self.n_read

    def show(self, n_samples: int) -> None:
        """So many of its samples have been shown."""
        self._n_shown = max(self._n_shown, min(n_samples, self.n_read))

    @property
    def full(self) -> bool:
        """Whether more would be dropped; a sender that can wait should."""
        return self._ready >= self._limit

    @property
    def closed(self) -> bool:
        """Whether no more will be pushed."""
        return self._closed

    @property
    def ended(self) -> bool:
        """Closed and played to the end."""
        return self._closed and not self._ready

    def clear(self) -> None:
        """Forget what waits (barge-in)."""
        self.keep(0.0)

    def close(self) -> None:
        """No more will be pushed; what waits is still played."""
        with self._more:
            self._closed = True
            self._more.notify_all()

    def _skip(self, count: int) -> None:
        self.n_read += count
        self._ready -= count
        self.n_skipped += count
        while count:
            piece = self._pieces.popleft()
            if len(piece) > count:
                self._pieces.appendleft(piece[count:])
            count -= min(count, len(piece))

    def _captured_ms(self, sample: int) -> float:
        while len(self._marks) > 1 and self._marks[1][0] <= sample:
            self._marks.popleft()
        if not self._marks:
            return math.nan
        first, captured_ms = self._marks[0]
        return captured_ms + (sample - first) * 1e3 / AUDIO_RATE


def speech_source(samples: Float[np.ndarray, " N"], speaker: str = "") -> PushSource:
    """A source of speech that is whole already: a synthesised text. `speaker`: which of several faces says it."""
    limit_s = len(samples) / AUDIO_RATE + 1.0
    source = PushSource("text", audible=True, bounded=False, limit_s=limit_s, speaker=speaker)
    source.push(samples)
    source.close()
    return source


class FileSource:
    """A sound file, decoded in pieces as it is played. Raises UserError when it holds no sound."""

    audible = True

    def __init__(self, path: Path) -> None:
        from gtalk.media.audio import stream_audio

        self.name = Path(path).name
        self._chunks = stream_audio(Path(path))
        self._rest = next(self._chunks, np.zeros(0, np.float32))  # here, so that a bad file fails before it plays
        self._ended = False

    def read(self, count: int) -> Float[np.ndarray, " N"] | None:
        """See AudioSource."""
        while len(self._rest) < count and not self._ended:
            chunk = next(self._chunks, None)
            if chunk is None:
                self._ended = True
            else:
                self._rest = np.concatenate([self._rest, chunk])
        if not len(self._rest):
            return None
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken


def check_rate(rate: int) -> int:
    """A sample rate that can be live. Raises UserError for any other."""
    low, high = RATES_HZ
    if not low <= rate <= high:
        raise UserError("sample rate", expected=f"{low} to {high} Hz", got=str(rate), remedy="Resample the stream.")
    return rate


def _resampler(rate: int) -> LiveResampler | None:
    return None if check_rate(rate) == AUDIO_RATE else LiveResampler(rate)
