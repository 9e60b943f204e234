"""A motion as weights of named shapes, and what they leave: the person at rest that fits best, and residual shapes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtalk.rig.person import PersonRig, spread_from_landmarks
from gtalk.rig.shapes import ARKIT, index
from gtalk.rig.weights import weights_of_motion
from gtalk.shapes import Float
from gtalk.topology import LANDMARKS68
from gtalk.types import Motion

WANTED_RMS_M = 1e-3
WANTED_SHARE = 0.98  # of the frames
MOST_RESIDUALS = 8
_ROUNDS = 3


@dataclass(frozen=True)
class Recomposed:
    """landmarks(t) ~ (neutral + weights(t) shapes + residual_weights(t) residuals) at LANDMARKS68."""

    neutral: Float[np.ndarray, "478 3"]
    shapes: Float[np.ndarray, "52 478 3"]
    """ARKit's, in their order."""
    weights: Float[np.ndarray, "T 52"]
    residuals: Float[np.ndarray, "R 478 3"]
    """What no named shape makes up, by importance: as many as the error needs."""
    residual_weights: Float[np.ndarray, "T R"]

    def landmarks(self) -> Float[np.ndarray, "T 68 3"]:
        """The motion's landmarks as these shapes make them, metres."""
        named = np.tensordot(self.weights, self.shapes[:, LANDMARKS68], 1)
        return (
            self.neutral[LANDMARKS68] + named + np.tensordot(self.residual_weights, self.residuals[:, LANDMARKS68], 1)
        )

    @staticmethod
    def of(rig: PersonRig, motion: Motion | None) -> Recomposed:
        """Of a motion; without one, the rig at rest."""
        shapes = rig.shapes[[index(name) for name in ARKIT]]
        if motion is None:
            none = np.zeros((0, len(ARKIT)))
            return Recomposed(rig.neutral, shapes, none, np.zeros((0, 478, 3)), np.zeros((0, 0)))
        landmarks, rest = motion.landmarks.astype(np.float64), rig.neutral[LANDMARKS68]
        at_landmarks = shapes[:, LANDMARKS68]
        for _ in range(_ROUNDS):  # the rest that leaves the least, since that of a few still frames is not exact
            weights = weights_of_motion(motion, rest, rig.shapes68)
            left = landmarks - rest - np.tensordot(weights, at_landmarks, 1)
            rest = rest + left.mean(0)
        left = landmarks - rest - np.tensordot(weights, at_landmarks, 1)
        modes, amounts = _residuals(left)
        bent = spread_from_landmarks(rig.neutral, np.concatenate([(rest - rig.neutral[LANDMARKS68])[None], modes]))
        return Recomposed(rig.neutral + bent[0], shapes, weights, bent[1:], amounts)


def _residuals(left: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[R,68,3] principal displacements, scaled to weights of at most 1, and [T,R] weights."""
    flat = left.reshape(len(left), -1)
    _, _, rows = np.linalg.svd(flat, full_matrices=False)
    for count in range(min(MOST_RESIDUALS, len(rows)) + 1):
        amounts = flat @ rows[:count].T
        error = (flat - amounts @ rows[:count]).reshape(left.shape)
        rms = np.sqrt((error**2).sum(-1).mean(1))
        if (rms <= WANTED_RMS_M).mean() >= WANTED_SHARE:
            break
    size = np.maximum(np.abs(amounts).max(0, initial=0.0), 1e-9)
    return (rows[:count] * size[:, None]).reshape(count, 68, 3), amounts / size
