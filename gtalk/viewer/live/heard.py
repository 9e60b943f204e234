"""What one tick heard, and its pitch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtalk.shapes import Float
from gtalk.speech.pitch import WINDOW, yin
from gtalk.viewer.audio.sources import AudioSource

_PERIODIC = 0.6  # periodicity from which a pitch is shown


@dataclass(frozen=True)
class HeardTick:
    """The sound of one tick."""

    samples: Float[np.ndarray, " N"]
    source: AudioSource | None
    pitch_hz: float
    heard_ms: float
    n_read: int = 0
    """Samples of the source that were taken until then."""


class PitchMeter:
    """The pitch of a running sound, for the screen."""

    def __init__(self) -> None:
        self._recent = np.zeros(WINDOW, np.float32)

    def hz(self, samples: Float[np.ndarray, " N"]) -> float:
        """With these samples more; 0 where there is none."""
        self._recent = np.concatenate([self._recent, samples])[-WINDOW:]
        if float(np.abs(samples).max(initial=0.0)) < 1e-3:
            return 0.0
        f0_hz, periodicity = yin(self._recent[None].astype(np.float64))
        return float(f0_hz[0]) if periodicity[0] > _PERIODIC else 0.0
