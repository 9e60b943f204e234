"""Where syllables begin, for the report.

librosa's detector with its settings: a test holds both to the same instants. Its own code compiles for 15 s when it
is first called after an installation, which is more than all the rest of a report takes.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import maximum_filter1d
from scipy.signal import stft

from gtalk.prepare.report.metrics import HOP_S
from gtalk.shapes import Float
from gtalk.speech.mel import mel_filters
from gtalk.types import AUDIO_RATE

WINDOW, MELS = 2048, 128
TOP_DB = 80.0  # below the loudest there is nothing
PEAK_S, MEAN_S, WAIT_S, ABOVE = 0.03, 0.1, 0.03, 0.07
"""A peak is the largest of what was PEAK_S before it and ABOVE the mean of MEAN_S around; one in WAIT_S."""
LEAST = 1e-4  # RMS of what is heard at all
QUIET_DB = 30.0  # below the loudest frame nobody speaks
AFTER = 5  # hops within which what begins has to be loud


def onset_times_s(samples: Float[np.ndarray, " N"]) -> Float[np.ndarray, " K"]:
    """Seconds from the beginning of some seconds of sound at AUDIO_RATE: where its spectrum suddenly grows.

    Peaks of the spectral flux of a mel spectrogram (Böck & Widmer 2013); what begins in near silence does not count.
    """
    hop = round(HOP_S * AUDIO_RATE)
    if len(samples) < WINDOW:
        return np.zeros(0)
    rms = np.sqrt(np.convolve(np.square(samples, dtype=np.float64), np.full(WINDOW // 2, 2 / WINDOW), "same")[::hop])
    loud = (rms > LEAST) & (rms > rms.max() * 10 ** (-QUIET_DB / 20))
    return np.array([i * HOP_S for i in _peaks(spectral_flux(samples, hop)) if loud[i : i + AFTER].any()])


def spectral_flux(samples: Float[np.ndarray, " N"], hop: int) -> Float[np.ndarray, " M"]:
    """By how many dB the bands of a mel spectrogram have grown since the hop before, mean over those that grew."""
    _, _, spectrum = stft(samples, window="hann", nperseg=WINDOW, noverlap=WINDOW - hop, padded=False)
    power = mel_filters(MELS, 0.0, AUDIO_RATE / 2, WINDOW) @ np.abs(spectrum * WINDOW / 2) ** 2
    level_db = 10 * np.log10(np.maximum(power, 1e-10))
    level_db = np.maximum(level_db, level_db.max() - TOP_DB)
    late = WINDOW // (2 * hop)  # a change is seen when it enters the window, and stands where the window's middle is
    flux = np.maximum(np.diff(level_db, axis=1), 0.0).mean(0)
    return np.concatenate([np.zeros(1 + late), flux])[: level_db.shape[1]]


def _peaks(flux: np.ndarray) -> list[int]:
    flux = flux - flux.min()
    flux = flux / max(float(flux.max()), 1e-12)
    before, around, wait = (round(s / HOP_S) for s in (PEAK_S, MEAN_S, WAIT_S))
    # The window of the maximum ends with the hop itself.
    highest = maximum_filter1d(flux, before + 1, origin=before - (before + 1) // 2, mode="constant")
    sums = np.concatenate([[0.0], np.cumsum(flux)])
    first = np.maximum(np.arange(len(flux)) - around, 0)
    last = np.minimum(np.arange(len(flux)) + around + 1, len(flux))
    mean = (sums[last] - sums[first]) / (last - first)
    found: list[int] = []
    for i in np.flatnonzero((flux >= highest) & (flux >= mean + ABOVE) & (flux > 0)).tolist():
        if not found or i - found[-1] > wait:
            found.append(i)
    return found
