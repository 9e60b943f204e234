"""Triangular filters on the mel scale."""

from __future__ import annotations

import numpy as np

from gtalk.shapes import Float
from gtalk.types import AUDIO_RATE


def hz_to_mel(hz: float | np.ndarray) -> np.ndarray:
    """O'Shaughnessy's mel scale."""
    return np.asarray(2595.0 * np.log10(1.0 + np.asarray(hz) / 700.0))


def mel_to_hz(mel: float | np.ndarray) -> np.ndarray:
    """Inverse of `hz_to_mel`."""
    return np.asarray(700.0 * (10.0 ** (np.asarray(mel) / 2595.0) - 1.0))


def mel_filters(
    count: int, low_hz: float, high_hz: float, n_fft: int, on_bins: bool = False
) -> Float[np.ndarray, "F B"]:
    """[count, n_fft // 2 + 1] weights; each filter has unit area (in Hz), so that noise gives a flat spectrum.

    Args:
        count: number of filters.
        low_hz: lower edge of the first.
        high_hz: upper edge of the last.
        n_fft: length of the Fourier transform.
        on_bins: round the corners to bins, as Sphinx does.
    """
    bin_hz = AUDIO_RATE / n_fft
    corners = mel_to_hz(np.linspace(hz_to_mel(low_hz), hz_to_mel(high_hz), count + 2))
    if on_bins:
        corners = np.round(corners / bin_hz) * bin_hz
    hz = np.arange(n_fft // 2 + 1) * bin_hz
    left, centre, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rise, fall = (hz - left) / (centre - left), (right - hz) / (right - centre)
    return np.maximum(0.0, np.minimum(rise, fall)) * 2.0 / (right - left)
