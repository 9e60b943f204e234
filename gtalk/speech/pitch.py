"""Fundamental frequency and periodicity of short windows, each on its own: nothing to delay or to unlearn."""

from __future__ import annotations

import numpy as np

from gtalk.shapes import Float
from gtalk.types import AUDIO_RATE

F0_LOW_HZ, F0_HIGH_HZ = 60.0, 600.0
_MIN_LAG = int(AUDIO_RATE / F0_HIGH_HZ)
_MAX_LAG = int(np.ceil(AUDIO_RATE / F0_LOW_HZ)) + 1
_SUM = 512  # samples that are compared at each lag
WINDOW = _SUM + _MAX_LAG
_THRESHOLD = 0.15  # of the normalised difference: the first dip below it is the period
_N_FFT = 1024  # no lag of interest wraps around: WINDOW fits, and N - _SUM > _MAX_LAG


def yin(windows: Float[np.ndarray, "M W"]) -> tuple[Float[np.ndarray, " M"], Float[np.ndarray, " M"]]:
    """(F0 in Hz, periodicity 0 to 1) of windows of WINDOW samples.

    The cumulative-mean-normalised difference function of YIN (de Cheveigné & Kawahara 2002, eq. 8), its
    first dip below a threshold or else its lowest point, refined by a parabola. Periodicity is one minus
    the function there; 0 for digital silence, whose F0 is meaningless.
    """
    if not len(windows):
        return np.zeros(0), np.zeros(0)
    if not windows.any() and len(windows) > 1:  # digital silence: one is as the other
        f0, periodicity = yin(windows[:1])
        return np.repeat(f0, len(windows)), np.repeat(periodicity, len(windows))
    x = windows.astype(np.float64)
    x = x - x.mean(1, keepdims=True)
    head = np.fft.rfft(x[:, :_SUM], _N_FFT)
    correlation = np.fft.irfft(np.fft.rfft(x, _N_FFT) * head.conj(), _N_FFT)[:, : _MAX_LAG + 1]
    power = np.concatenate([np.zeros((len(x), 1)), np.cumsum(x * x, axis=1)], axis=1)
    energy = power[:, _SUM : _SUM + _MAX_LAG + 1] - power[:, : _MAX_LAG + 1]
    difference = np.maximum(energy[:, :1] + energy - 2.0 * correlation, 0.0)
    lags = np.arange(1, _MAX_LAG + 1)
    # The floor keeps dither and digital silence from looking periodic.
    mean = np.cumsum(difference[:, 1:], axis=1) / lags + 1e-7 * _SUM
    d = np.ones_like(difference)
    d[:, 1:] = (difference[:, 1:] + 1e-7 * _SUM) / mean
    lag = _first_dip(d)
    rows = np.arange(len(x))
    before, here, after = d[rows, lag - 1], d[rows, lag], d[rows, np.minimum(lag + 1, _MAX_LAG)]
    curvature = before - 2.0 * here + after
    shift = np.where(curvature > 1e-9, 0.5 * (before - after) / np.maximum(curvature, 1e-9), 0.0)
    f0 = AUDIO_RATE / (lag + np.clip(shift, -0.5, 0.5))
    return f0, np.clip(1.0 - here, 0.0, 1.0)


def _first_dip(d: np.ndarray) -> np.ndarray:
    """[M] lag of the first local minimum below the threshold, else of the global minimum."""
    inner = d[:, _MIN_LAG:_MAX_LAG]
    local = (inner <= d[:, _MIN_LAG - 1 : _MAX_LAG - 1]) & (inner <= d[:, _MIN_LAG + 1 : _MAX_LAG + 1])
    dips = local & (inner < _THRESHOLD)
    return _MIN_LAG + np.where(dips.any(1), dips.argmax(1), inner.argmin(1))
