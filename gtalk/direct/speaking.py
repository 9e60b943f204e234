"""What lips tell of speech, frame by frame: whether somebody speaks, and how much is stressed; and slow from quick."""

from __future__ import annotations

import math

import numpy as np

from gtalk.motion.edits.emotion import SPEAKS_M, SPEAKS_M_S
from gtalk.shapes import Float

_SLOW_S = 0.35  # time constant between what is done slowly, as leaning, and quickly, as nodding
_ENVELOPE_S, _PHRASE_S = 0.12, 1.5  # of the lips' opening, and of what is usual of a phrase
_ATTACK_S, _RELEASE_S = 0.08, 0.3  # of activity


class Split:
    """Divides values into slow and quick ones, which add up: a filter of first order that remembers."""

    def __init__(self, fps: float, slow_s: float = _SLOW_S) -> None:
        self._keep = math.exp(-1.0 / (slow_s * fps))
        self._slow: np.ndarray | None = None

    def __call__(self, values: Float[np.ndarray, " N"]) -> tuple[np.ndarray, np.ndarray]:
        """(slow, quick) of the next frame."""
        self._slow = values if self._slow is None else self._keep * self._slow + (1.0 - self._keep) * values
        return self._slow, values - self._slow


class Stress:
    """Activity of the lips, 0 to 1, and how far they open beyond what is usual of the phrase."""

    def __init__(self, rest_m: float, spread_m: float) -> None:
        """`rest_m`: opening of lips that say nothing. `spread_m`: standard deviation of the opening."""
        self._rest_m, self._spread_m = rest_m, max(spread_m, 1e-6)
        self._before_m: float | None = None
        self._activity = 0.0
        self._filters: tuple[Split, Split] | None = None

    def __call__(self, opening_m: float, fps: float) -> tuple[float, float]:
        """(activity, stress in deviations of the opening) of the next frame."""
        if self._filters is None:
            self._filters = Split(fps, _ENVELOPE_S), Split(fps, _PHRASE_S)
        speed = 0.0 if self._before_m is None else abs(opening_m - self._before_m) * fps
        self._before_m = opening_m
        speaks = opening_m - self._rest_m > SPEAKS_M or speed > SPEAKS_M_S
        step = 1.0 / (_ATTACK_S * fps) if speaks else -1.0 / (_RELEASE_S * fps)
        self._activity = float(np.clip(self._activity + step, 0.0, 1.0))
        envelope, _ = self._filters[0](np.array([opening_m]))
        _, beyond = self._filters[1](envelope)
        return self._activity, float(beyond[0]) / self._spread_m
