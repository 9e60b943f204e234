"""The person's motion basis: landmark motion <-> a short code that renderers and audio models share.

The code of a frame has four groups, each with its own capacity, so that a blink does not move the
mouth: `mouth` (principal components of lips and jaw), `upper` (of brows and eyelids), `eyes`
(openness) and `gaze`. Components are in units of the clip's standard deviation and are clamped to the
clip's own range with a margin, so that a renderer never sees a code far from what it was fitted on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gtalk.shapes import Float
from gtalk.types import Motion

JAW = np.arange(0, 17)
BROWS = np.arange(17, 27)
NOSE = np.arange(27, 36)
EYES = np.arange(36, 48)
LIPS = np.arange(48, 68)
INNER_LIPS = np.arange(60, 68)
MOUTH_GROUP = np.concatenate([JAW, LIPS])
UPPER_GROUP = np.concatenate([BROWS, EYES])

INNER_LIP_PAIRS = np.array([[61, 67], [62, 66], [63, 65]])
"""(upper, lower) points of the inner lips that face each other."""

JAW_WEIGHT = 0.35  # the jaw line is tracked less exactly than the lips
GAZE_UNIT_RAD = 0.25
CLAMP_MARGIN = 0.15  # of a component's range, beyond the clip's extremes


def mouth_aperture(landmarks: Float[np.ndarray, "*batch 68 3"]) -> Float[np.ndarray, "*batch"]:
    """Opening between the inner lips, metres, up the face: 0 when they touch, negative where they cross."""
    upper, lower = (landmarks[..., points, 1] for points in INNER_LIP_PAIRS.T)
    return np.asarray((upper - lower).mean(-1))


def lip_gap(
    points: Float[np.ndarray, "*batch P 3"], pairs: np.ndarray = INNER_LIP_PAIRS
) -> Float[np.ndarray, "*batch"]:
    """Mean distance of the inner lips' facing points, in the points' unit. `pairs` [N,2]: which points those are."""
    apart = points[..., pairs[:, 0], :] - points[..., pairs[:, 1], :]
    return np.asarray(np.linalg.norm(apart, axis=-1).mean(-1))


@dataclass(frozen=True)
class MotionBasis:
    """Linear basis of one person's face motion. K = K_mouth + K_upper + 4."""

    mean: Float[np.ndarray, "68 3"]
    """Mean landmarks in head space, metres."""
    mouth: Float[np.ndarray, "Km 37 3"]
    """Displacement of MOUTH_GROUP for one standard deviation of each component, metres."""
    upper: Float[np.ndarray, "Ku 22 3"]
    """Displacement of UPPER_GROUP for one standard deviation of each component, metres."""
    low: Float[np.ndarray, " K"]
    high: Float[np.ndarray, " K"]
    """Range of the code over the clip it was fitted on."""

    @property
    def size(self) -> int:
        """Length K of a code."""
        return len(self.low)

    @property
    def groups(self) -> dict[str, slice]:
        """Where each group lies in the code."""
        km, ku = len(self.mouth), len(self.upper)
        return {
            "mouth": slice(0, km),
            "upper": slice(km, km + ku),
            "eyes": slice(km + ku, km + ku + 2),
            "gaze": slice(km + ku + 2, km + ku + 4),
        }

    @staticmethod
    def fit(motion: Motion, n_mouth: int = 10, n_upper: int = 4) -> MotionBasis:
        """Principal components over the valid frames of a tracked motion (T >= 2)."""
        landmarks = motion.landmarks[motion.valid].astype(np.float64)
        mean = landmarks.mean(0)
        mouth = _principal_displacements(landmarks[:, MOUTH_GROUP] - mean[MOUTH_GROUP], _mouth_weights(), n_mouth)
        upper = _principal_displacements(landmarks[:, UPPER_GROUP] - mean[UPPER_GROUP], np.ones(22), n_upper)
        unbounded = np.full(len(mouth) + len(upper) + 4, np.inf)
        basis = MotionBasis(mean, mouth, upper, -unbounded, unbounded)
        codes = basis.encode(motion)[motion.valid]
        return MotionBasis(mean, mouth, upper, codes.min(0), codes.max(0))

    def encode(self, motion: Motion) -> Float[np.ndarray, "T K"]:
        """Least-squares code of each frame, clamped to the clip's range plus CLAMP_MARGIN of it."""
        offset = motion.landmarks - self.mean
        to_mouth, to_upper = self.projections
        mouth = offset[:, MOUTH_GROUP].reshape(len(offset), -1) @ to_mouth
        upper = offset[:, UPPER_GROUP].reshape(len(offset), -1) @ to_upper
        code = np.concatenate([mouth, upper, (motion.eyes - 1.0) * 2.0, motion.gaze / GAZE_UNIT_RAD], axis=1)
        margin = np.where(np.isfinite(self.high), CLAMP_MARGIN * (self.high - self.low), 0.0)
        return np.clip(code, self.low - margin, self.high + margin)

    @cached_property
    def projections(self) -> tuple[np.ndarray, np.ndarray]:
        """Matrices that take flat offsets to codes; made once, since a renderer encodes every frame."""
        return _projection(self.mouth, _mouth_weights()), _projection(self.upper, np.ones(22))

    def decode(self, code: Float[np.ndarray, "T K"]) -> Float[np.ndarray, "T 68 3"]:
        """Landmarks in head space of each code, metres."""
        landmarks = np.repeat(self.mean[None], len(code), axis=0)
        landmarks[:, MOUTH_GROUP] += np.einsum("tk,kpc->tpc", code[:, self.groups["mouth"]], self.mouth)
        landmarks[:, UPPER_GROUP] += np.einsum("tk,kpc->tpc", code[:, self.groups["upper"]], self.upper)
        return landmarks

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Named arrays for a safetensors file."""
        return {name: getattr(self, name) for name in ("mean", "mouth", "upper", "low", "high")}

    @staticmethod
    def from_arrays(arrays: dict[str, np.ndarray]) -> MotionBasis:
        """Inverse of `to_arrays`."""
        return MotionBasis(
            **{name: np.asarray(arrays[name], np.float64) for name in ("mean", "mouth", "upper", "low", "high")}
        )


def _mouth_weights() -> np.ndarray:
    return np.concatenate([np.full(len(JAW), JAW_WEIGHT), np.ones(len(LIPS))])


def _principal_displacements(offsets: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
    """[T,P,3] offsets -> [k,P,3]: what one standard deviation of each weighted component displaces."""
    root = np.sqrt(weights)[:, None]
    flat = (offsets * root).reshape(len(offsets), -1)
    _, singular, rows = np.linalg.svd(flat, full_matrices=False)
    count = min(count, int((singular > 1e-9 * max(singular[0], 1e-12)).sum()))
    std = singular[:count] / np.sqrt(len(flat))
    return (rows[:count] * std[:, None]).reshape(count, -1, 3) / root


def _projection(basis: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted least squares on [K,P,3] displacements, as the matrix [P * 3, K] that solves it."""
    if not len(basis):
        return np.zeros((3 * len(weights), 0))
    root = np.sqrt(weights)[:, None]
    design = (basis * root).reshape(len(basis), -1)
    return np.tile(root, (1, 3)).reshape(-1, 1) * np.linalg.pinv(design)
