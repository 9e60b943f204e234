"""Who speaks, how loud, over which noise: running statistics that only look back, so live equals offline.

Every statistic starts from a prior (an average voice, or the person's own) that counts as some seconds
of speech, and is updated by frames that are speech.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gtalk.shapes import Float
from gtalk.speech.frontend import RawFrames

_MEMORY = 1500.0  # frames of speech after which old ones are forgotten
PRIOR_FRAMES = 150.0  # frames of speech that the prior counts for
_FLOOR_PRIOR_DB = -62.0
_FLOOR_LOWEST_DB = -85.0


@dataclass(frozen=True)
class VoicePrior:
    """Statistics of a voice before it is heard."""

    mean: Float[np.ndarray, " D"]
    """Mean over speech of everything that is normalised."""
    log_f0: float
    """Mean natural logarithm of F0 in Hz."""


class RunningMean:
    """Weighted running mean of rows; a row's own value counts."""

    def __init__(self, mean: np.ndarray | float) -> None:
        self.mean = np.array(mean, np.float64)
        self._weight = PRIOR_FRAMES

    def __call__(self, values: Float[np.ndarray, "M D"], weights: Float[np.ndarray, " M"]) -> np.ndarray:
        """[M,D] mean after each row."""
        out = np.empty(values.shape)
        for i in range(len(values)):
            if weights[i] > 0.0:
                self._weight = min(self._weight + weights[i], _MEMORY)
                self.mean = self.mean + (weights[i] / self._weight) * (values[i] - self.mean)
            out[i] = self.mean
        return out


class SpeechActivity:
    """How surely each frame is speech, 0 to 1, from periodicity and loudness over the noise floor.

    Speech is what is periodic and stands out, and what follows it closely: room noise, breath and hiss
    have no pitch. The floor follows quieter frames at once and louder ones slowly.
    """

    def __init__(self) -> None:
        self.floor_db = _FLOOR_PRIOR_DB
        self._recent = 0.0

    def __call__(self, frames: RawFrames) -> tuple[Float[np.ndarray, " M"], Float[np.ndarray, " M"]]:
        """(activity, voicing) of each frame."""
        activity, voicing = np.empty(len(frames)), np.empty(len(frames))
        for i, (level, periodicity) in enumerate(
            zip(frames.level_db.tolist(), frames.periodicity.tolist(), strict=True)
        ):
            activity[i], voicing[i] = self._step(level, periodicity)
        return activity, voicing

    def _step(self, level: float, periodicity: float) -> tuple[float, float]:
        periodic = _sigmoid((periodicity - 0.72) / 0.05)
        above = level - self.floor_db
        voiced = periodic * _sigmoid((above - 9.0) / 2.0)
        if above < 0.0:
            self.floor_db = max(_FLOOR_LOWEST_DB, self.floor_db + 0.2 * above)
        else:
            # 4 dB a second under noise, 0.3 under a voice.
            self.floor_db += min(above, 0.04 * (1.0 - periodic) + 0.003)
        self._recent = max(voiced, self._recent * 0.93)  # 140 ms to a third
        return self._recent * _sigmoid((above - 7.0) / 2.0), voiced


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x > -30.0 else 0.0
