"""Samples -> aligned raw frames at 100 Hz: power spectrum, pitch, loudness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtalk.shapes import Float
from gtalk.speech.base import HopWindows
from gtalk.speech.pitch import WINDOW as PITCH_WINDOW
from gtalk.speech.pitch import yin
from gtalk.types import AUDIO_RATE

N_FFT = 512
FRAME = 410  # 25.6 ms: the frame that the phone model was trained with; the mel bands use the same spectrum
PRE_EMPHASIS = 0.97
FULL_SCALE = 32768.0
"""Spectra are in the units of 16-bit samples, as the phone model expects."""
LOOKAHEAD_S = (PITCH_WINDOW - PITCH_WINDOW // 2) / AUDIO_RATE

_HAMMING = np.hamming(FRAME).astype(np.float64)


@dataclass(frozen=True)
class RawFrames:
    """M frames at 100 Hz, not yet normalised to a speaker."""

    power: Float[np.ndarray, "M 257"]
    """Power spectrum of the pre-emphasised, windowed frame."""
    f0_hz: Float[np.ndarray, " M"]
    periodicity: Float[np.ndarray, " M"]
    level_db: Float[np.ndarray, " M"]
    """Loudness of the frame, decibels below full scale."""

    def __len__(self) -> int:
        return len(self.f0_hz)


class FrontEnd:
    """One running sound."""

    def __init__(self) -> None:
        self._frames = HopWindows(FRAME + 1, FRAME // 2 + 1)
        self._pitch = HopWindows(PITCH_WINDOW, PITCH_WINDOW // 2)
        self._early = np.zeros((0, FRAME + 1), np.float32)  # frames whose pitch is still to come

    def push(self, samples: Float[np.ndarray, " N"]) -> RawFrames:
        """Frames that are now certain. NaN and infinite samples count as silence."""
        samples = np.nan_to_num(np.asarray(samples, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        return self._analyse(self._frames.push(samples), self._pitch.push(samples))

    def finish(self) -> RawFrames:
        """The remaining frames."""
        return self._analyse(self._frames.finish(), self._pitch.finish())

    def _analyse(self, frames: np.ndarray, pitch_windows: np.ndarray) -> RawFrames:
        frames = np.concatenate([self._early, frames])
        count = len(pitch_windows)
        frames, self._early = frames[:count], frames[count:].copy()
        f0, periodicity = yin(pitch_windows)
        x = frames.astype(np.float64) * FULL_SCALE
        level = 10.0 * np.log10(np.mean((x[:, 1:] / FULL_SCALE) ** 2, axis=1) + 1e-10) if count else np.zeros(0)
        emphasised = (x[:, 1:] - PRE_EMPHASIS * x[:, :-1]) * _HAMMING
        spectrum = np.fft.rfft(emphasised, N_FFT)
        return RawFrames(spectrum.real**2 + spectrum.imag**2, f0, periodicity, level)
