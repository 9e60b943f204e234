"""Where live speech comes from: one protocol for microphone, file, stream and text."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from gtalk.errors import UserError
from gtalk.shapes import Float
from gtalk.types import AUDIO_RATE

_MAX_BUFFER_S = 0.4  # a microphone's clock may run faster than ours: past this the oldest sound is skipped


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

    Its buffer is bounded. `bounded=False` is for speech made faster than real time (a TTS that pushes a
    whole sentence): that waits in the buffer, up to `limit_s`, instead of being skipped.
    """

    def __init__(self, name: str, *, audible: bool, bounded: bool = True, limit_s: float = 120.0) -> None:
        self.name, self.audible = name, audible
        self._limit = int((_MAX_BUFFER_S if bounded else limit_s) * AUDIO_RATE)
        self._pieces: deque[np.ndarray] = deque()
        self._ready = 0
        self._closed = False
        self._lock = threading.Lock()
        self._rate = AUDIO_RATE
        self._resampler = None
        self.n_skipped = 0
        """Samples dropped because the buffer was full."""

    def push(self, samples: Float[np.ndarray, " N"], rate: int = AUDIO_RATE) -> None:
        """Append samples at `rate`; a changed rate begins a new resampler. NaN becomes silence."""
        samples = np.nan_to_num(np.asarray(samples, np.float32), nan=0.0, posinf=0.0, neginf=0.0).clip(-1, 1)
        if rate != self._rate:
            if not 4000 <= rate <= 192_000:
                raise UserError(
                    "sample rate", expected="4000 to 192000 Hz", got=str(rate), remedy="Resample the stream."
                )
            self._rate, self._resampler = rate, _resampler(rate)
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples)
        with self._lock:
            self._pieces.append(samples)
            self._ready += len(samples)
            while self._ready > self._limit and len(self._pieces) > 1:
                old = self._pieces.popleft()
                self._ready -= len(old)
                self.n_skipped += len(old)

    def read(self, count: int) -> Float[np.ndarray, " N"] | None:
        """See AudioSource."""
        with self._lock:
            if self._closed and not self._ready:
                return None
            taken, left = [], count
            while left and self._pieces:
                piece = self._pieces.popleft()
                taken.append(piece[:left])
                if len(piece) > left:
                    self._pieces.appendleft(piece[left:])
                left -= len(taken[-1])
            self._ready -= count - left
            return np.concatenate(taken) if taken else np.zeros(0, np.float32)

    @property
    def buffered_s(self) -> float:
        """Seconds of sound that wait."""
        return self._ready / AUDIO_RATE

    def clear(self) -> None:
        """Forget what waits (barge-in)."""
        with self._lock:
            self._pieces.clear()
            self._ready = 0

    def close(self) -> None:
        """No more will be pushed; what waits is still played."""
        self._closed = True


class FileSource:
    """A sound file, decoded in pieces as it is played."""

    audible = True

    def __init__(self, path: Path) -> None:
        from gtalk.media.audio import stream_audio

        self.name = Path(path).name
        self._chunks = stream_audio(Path(path))
        self._rest = np.zeros(0, np.float32)
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


def _resampler(rate: int):
    if rate == AUDIO_RATE:
        return None
    import soxr

    return soxr.ResampleStream(rate, AUDIO_RATE, 1, dtype="float32", quality="HQ")
