"""What every source of speech features can do, and how sound is cut into frames."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from gtalk.shapes import Float
from gtalk.types import AUDIO_RATE

RATE_HZ = 100.0
HOP = round(AUDIO_RATE / RATE_HZ)


@runtime_checkable
class EncoderStream(Protocol):
    """One running sound. Row j of all that it returns describes the instant j / rate_hz."""

    def push(self, samples: Float[np.ndarray, " N"]) -> Float[np.ndarray, "M D"]:
        """Take samples (mono, AUDIO_RATE, any number) and return the rows that are now certain (0 or more)."""
        ...

    def finish(self) -> Float[np.ndarray, "M D"]:
        """No more samples: return the remaining rows, ceil(samples * rate_hz / AUDIO_RATE) in all."""
        ...


@runtime_checkable
class AudioEncoder(Protocol):
    """Turns sound into rows of numbers. Offline use is one long push."""

    @property
    def rate_hz(self) -> float:
        """Rows a second."""
        ...

    @property
    def size(self) -> int:
        """Numbers in a row."""
        ...

    @property
    def lookahead_s(self) -> float:
        """How much sound after an instant is needed before its row is certain."""
        ...

    def stream(self) -> EncoderStream:
        """A fresh stream."""
        ...


def encode(encoder: AudioEncoder, samples: Float[np.ndarray, " N"]) -> Float[np.ndarray, "M D"]:
    """All rows of a whole sound."""
    stream = encoder.stream()
    return np.concatenate([stream.push(samples), stream.finish()])


class HopWindows:
    """Cuts a stream into windows of `size` samples; window j starts `before` samples ahead of j * HOP.

    Before the first and after the last sample there is silence.
    """

    def __init__(self, size: int, before: int) -> None:
        self.size, self.before = size, before
        self._kept = np.zeros(before, np.float32)
        self._n_samples = 0
        self._n_windows = 0

    def push(self, samples: Float[np.ndarray, " N"]) -> Float[np.ndarray, "M W"]:
        """Windows that are now complete, a read-only view."""
        self._n_samples += len(samples)
        self._kept = np.concatenate([self._kept, samples.astype(np.float32, copy=False)])
        return self._take(max(0, (len(self._kept) - self.size) // HOP + 1))

    def finish(self) -> Float[np.ndarray, "M W"]:
        """The remaining windows, filled up with silence: ceil(samples / HOP) in all."""
        count = -(-self._n_samples // HOP) - self._n_windows
        missing = max(0, (count - 1) * HOP + self.size - len(self._kept))
        self._kept = np.concatenate([self._kept, np.zeros(missing, np.float32)])
        return self._take(max(0, count))

    def _take(self, count: int) -> np.ndarray:
        if not count:
            return np.zeros((0, self.size), np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(self._kept, self.size)[: count * HOP : HOP]
        self._kept = self._kept[count * HOP :]
        self._n_windows += count
        return windows
