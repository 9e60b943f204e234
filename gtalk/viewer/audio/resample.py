"""A resampler for live sound: 3 ms of delay, where general ones hold back 20 to 40."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from gtalk.shapes import Float
from gtalk.types import AUDIO_RATE

_HALF_S = 0.003  # reach of the filter to each side: 72 dB below the cut-off's octave at 48 kHz
_PASS = 0.92  # of the lower rate's Nyquist frequency
_PHASES = 256  # the filter is tabulated at so many fractions of a sample


class LiveResampler:
    """Mono sound at any rate -> AUDIO_RATE, in pieces of any size with the same result.

    Output k is the instant k / AUDIO_RATE of the input: a windowed sinc is laid over it (Kaiser, beta 8),
    read from a table of `_PHASES` fractions. What lies before the first sample is silence.
    """

    def __init__(self, rate: int) -> None:
        self._step = rate / AUDIO_RATE
        self._table = _filters(rate)
        self._reach = self._table.shape[1] // 2
        self._kept = np.zeros(self._reach, np.float32)  # the first is input sample `_first`
        self._first = -self._reach
        self._emitted = 0

    def __call__(self, samples: Float[np.ndarray, " N"]) -> Float[np.ndarray, " M"]:
        """Take samples, return those that are now certain."""
        self._kept = np.concatenate([self._kept, samples])
        end = self._first + len(self._kept)
        stop = max(self._emitted, int(np.ceil((end - self._reach - 1) / self._step)))
        places = np.arange(self._emitted, stop) * self._step
        before = np.floor(places).astype(np.int64)
        phase = np.round((places - before) * _PHASES).astype(np.int64)
        reach = np.arange(-self._reach + 1, self._reach + 1)
        windows = self._kept[before[:, None] + reach - self._first]
        out = np.einsum("nk,nk->n", windows, self._table[phase])
        self._emitted = stop
        drop = max(0, int(np.floor(stop * self._step)) - self._reach - self._first)
        self._kept, self._first = self._kept[drop:], self._first + drop
        return out


@lru_cache(maxsize=8)
def _filters(rate: int) -> Float[np.ndarray, "P K"]:
    """[phases + 1, 2 * reach] taps for an output that lies `phase` after the input sample at reach - 1."""
    reach = int(np.ceil(_HALF_S * rate))
    cutoff = _PASS * min(1.0, AUDIO_RATE / rate)
    distance = np.arange(-reach + 1, reach + 1)[None] - np.arange(_PHASES + 1)[:, None] / _PHASES
    window = np.i0(8.0 * np.sqrt(np.clip(1 - (distance / reach) ** 2, 0, None))) / np.i0(8.0)
    taps = np.sinc(cutoff * distance) * window
    return (taps / taps.sum(1, keepdims=True)).astype(np.float32)
