"""Who speaks, how loud, over which noise: running statistics that only look back, so live equals offline.

Every statistic starts from a prior (an average voice, or the person's own) that counts as some seconds
of speech, and is updated by frames that are speech.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from gtalk.shapes import Float
from gtalk.speech.frontend import RawFrames

_MEMORY = 1500.0  # frames of speech after which old ones are forgotten
PRIOR_FRAMES = 150.0  # frames of speech that the prior counts for
_FLOOR_PRIOR_DB = -62.0
_FLOOR_LOWEST_DB = -75.0
_FLOOR_PART, _FLOOR_PARTS = 25, 20  # frames of a part, and parts: together the window of the noise floor
_FLOOR_BIAS_DB = 2.0  # of a mean over a minimum
_DIGITAL_SILENCE_DB = -90.0  # before the first sound it says nothing about the room
_SETTLE = 15  # frames until the smoothed level has forgotten where it started
_HUM_RISE_DB = 0.25  # of the floor in a part with nothing but periodic sound
_PERIODIC = 0.72
_PRIOR_RISE_DB = 2.0  # the expected floor counts for less with every part that is known


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
    have no pitch. The floor is the quietest of the last seconds, since speech has a gap in every few.
    """

    def __init__(self) -> None:
        self.floor_db = self._expected_db = _FLOOR_PRIOR_DB
        self._recent, self._heard = 0.0, 0
        self._power = 10.0 ** (_FLOOR_PRIOR_DB / 10.0)
        self._lowest: deque[float] = deque(maxlen=_FLOOR_PARTS)
        self._part, self._left = math.inf, _FLOOR_PART

    def __call__(self, frames: RawFrames) -> tuple[Float[np.ndarray, " M"], Float[np.ndarray, " M"]]:
        """(activity, voicing) of each frame."""
        activity, voicing = np.empty(len(frames)), np.empty(len(frames))
        for i, (level, periodicity) in enumerate(
            zip(frames.level_db.tolist(), frames.periodicity.tolist(), strict=True)
        ):
            activity[i], voicing[i] = self._step(level, periodicity)
        return activity, voicing

    def _step(self, level: float, periodicity: float) -> tuple[float, float]:
        self._follow(level, periodicity)
        above = level - self.floor_db
        voiced = _sigmoid((periodicity - _PERIODIC) / 0.05) * _sigmoid((above - 6.5) / 1.5)
        # Hiss that stands out far may be the end of a word: it lasts longer.
        fade = 0.93 + 0.015 * _sigmoid((above - 12.0) / 2.0)
        self._recent = max(voiced, self._recent * fade)
        return self._recent * _sigmoid((above - 5.0) / 1.5), voiced

    def _follow(self, level: float, periodicity: float) -> None:
        """Minimum statistics (Martin 2001) of what is not periodic, smoothed over 50 ms, in parts of the window."""
        self._heard += bool(self._heard or level > _DIGITAL_SILENCE_DB)
        if not self._heard:
            return
        self._power += 0.2 * (10.0 ** (level / 10.0) - self._power)
        if self._heard > _SETTLE and periodicity < _PERIODIC:
            self._part = min(self._part, 10.0 * math.log10(self._power) + _FLOOR_BIAS_DB)
        known = min([self._part, *self._lowest])
        self._left -= 1
        if not self._left:
            # Held vowels say nothing about the noise, but a hum that never ends is noise in the long run.
            heard = self._part < math.inf
            self._lowest.append(self._part if heard else known + _HUM_RISE_DB)
            self._expected_db += _PRIOR_RISE_DB * heard
            self._part, self._left = math.inf, _FLOOR_PART
        self.floor_db = max(_FLOOR_LOWEST_DB, min(known, self._expected_db))


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x > -30.0 else 0.0
