"""What follows from what in one person's face: lids and brows move landmarks. The torso is the avatar's to move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtalk.basis import UPPER_GROUP, MotionBasis, mouth_aperture
from gtalk.shapes import Bool, Float
from gtalk.types import Motion

_LID_SCALE, _BROW_SCALE_M = 0.3, 0.002  # usual deviations, so that one ridge suits both


@dataclass(frozen=True)
class FaceMap:
    """Linear maps learned from tracked frames."""

    upper: Float[np.ndarray, "5 66"]
    """[1, lids left and right, brows left and right] -> UPPER_GROUP, metres, flattened."""
    rest: Float[np.ndarray, " Km"]
    """Mouth code of closed, relaxed lips."""

    @staticmethod
    def fit(
        motion: Motion,
        basis: MotionBasis,
        silent: Bool[np.ndarray, " T"],
    ) -> FaceMap:
        """A ridge regression on the valid frames.

        Args:
            motion: tracked frames.
            basis: of the same person.
            silent: frames in which nothing is said.
        """
        valid = motion.valid
        upper = _ridge(_lids_and_brows(motion.eyes, motion.brows)[valid], _flat_upper(motion)[valid], 1.0)
        return FaceMap(upper, _rest_code(motion, basis, silent))

    def upper_landmarks(
        self, eyes: Float[np.ndarray, "T 2"], brows: Float[np.ndarray, "T 2"]
    ) -> Float[np.ndarray, "T 22 3"]:
        """Landmarks of UPPER_GROUP that belong to these lids and brows, metres."""
        return (_lids_and_brows(eyes, brows) @ self.upper).reshape(-1, len(UPPER_GROUP), 3)


def _rest_code(motion: Motion, basis: MotionBasis, silent: np.ndarray) -> np.ndarray:
    """Mean mouth code of the most closed frames, of silent ones where there are enough.

    The mean's opening is the mean of theirs; medians of single codes together make a mouth that nobody has shown.
    """
    pool = np.flatnonzero(motion.valid & silent)
    if len(pool) < 20:
        pool = np.flatnonzero(motion.valid)
    opening = np.abs(mouth_aperture(motion.landmarks[pool]))
    closed = pool[np.argsort(opening)[: max(5, len(pool) // 10)]]
    return basis.encode(motion)[closed][:, basis.groups["mouth"]].mean(0)


def _lids_and_brows(eyes: np.ndarray, brows: np.ndarray) -> np.ndarray:
    return _with_one((eyes - 1.0) / _LID_SCALE, brows / _BROW_SCALE_M)


def _with_one(*columns: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones((len(columns[0]), 1)), *columns], axis=1)


def _flat_upper(motion: Motion) -> np.ndarray:
    return motion.landmarks[:, UPPER_GROUP].reshape(len(motion), -1)


def _ridge(design: np.ndarray, target: np.ndarray, strength: float) -> np.ndarray:
    """Least squares with a penalty on all but the constant."""
    penalty = strength * np.eye(design.shape[1])
    penalty[0, 0] = 0.0
    return np.linalg.solve(design.T @ design + penalty, design.T @ target)
