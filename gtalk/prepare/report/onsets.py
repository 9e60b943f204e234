"""Where syllables begin, for the report, by librosa."""

from __future__ import annotations

import numpy as np

from gtalk.prepare.report.metrics import HOP_S
from gtalk.shapes import Float
from gtalk.types import AUDIO_RATE

FRAME = 1024  # samples of a loudness
LEAST = 1e-4  # RMS of what is heard at all
QUIET_DB = 30.0  # below the loudest frame nobody speaks
AFTER = 5  # hops within which what begins has to be loud


def onset_times_s(samples: Float[np.ndarray, " N"]) -> Float[np.ndarray, " K"]:
    """Seconds from the beginning of some seconds of sound at AUDIO_RATE: where its spectrum suddenly grows.

    Peaks of the spectral flux of a mel spectrogram (Böck & Widmer 2013); what begins in near silence does not count.
    """
    import librosa  # takes more than a second: only who writes a report waits for it

    hop = round(HOP_S * AUDIO_RATE)
    y = np.asarray(samples, np.float32)
    if len(y) < 2 * FRAME:
        return np.zeros(0)
    rms = librosa.feature.rms(y=y, frame_length=FRAME, hop_length=hop)[0]
    loud = (rms > LEAST) & (rms > rms.max() * 10 ** (-QUIET_DB / 20))
    found = librosa.onset.onset_detect(y=y, sr=AUDIO_RATE, hop_length=hop)
    return np.array([i * HOP_S for i in found.tolist() if loud[i : i + AFTER].any()])
