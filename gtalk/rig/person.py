"""A person's rig: the shapes on this face, how much of each the clip has shown, and the limits that follow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gtalk.errors import UserError
from gtalk.geometry.rotation import align_similarity
from gtalk.rig.evidence import weigh
from gtalk.rig.limits import Gaps, soft_limit
from gtalk.rig.shapes import SHAPES, displacements, neutral
from gtalk.shapes import Float
from gtalk.topology import EYELID_PAIRS, LANDMARKS68, LIP_GAP_PAIRS
from gtalk.types import Motion

_SPLINE_SLACK_M = 1e-4
SEEN_MARGIN = 1.3  # how far beyond what was seen a shape may go


@dataclass(frozen=True)
class PersonRig:
    """The shapes of one person, head space, metres."""

    neutral: Float[np.ndarray, "478 3"]
    """Closed lips, open eyes, at rest."""
    shapes: Float[np.ndarray, "E 478 3"]
    """What each of SHAPES moves at weight 1."""
    seen: Float[np.ndarray, " E"]
    """How far the clip has shown each: a weight, 0 not at all, about 1 fully."""
    evidence: Float[np.ndarray, " E"]
    """How much of a shape comes from the clip, 0 all sculpted to 1 all measured."""

    @staticmethod
    def of_mesh(neutral: Float[np.ndarray, "478 3"]) -> PersonRig:
        """The sculpted shapes on a face of which nothing else is known."""
        zero = np.zeros(len(SHAPES))
        return PersonRig(np.asarray(neutral, np.float64), displacements(neutral), zero, zero)

    @staticmethod
    def of_motion(motion: Motion) -> PersonRig:
        """The rig of a tracked clip, corrected by it. Raises UserError when it has no channel `landmarks478`."""
        sculpted = PersonRig.of_mesh(neutral_mesh(motion))
        found = weigh(motion, sculpted.neutral, sculpted.shapes)
        return PersonRig(sculpted.neutral, found.shapes, found.seen, found.share)

    @property
    def shapes68(self) -> Float[np.ndarray, "E 68 3"]:
        """The shapes at the 68 landmarks."""
        return self.shapes[:, LANDMARKS68]

    @property
    def most(self) -> Float[np.ndarray, " E"]:
        """Largest weight of each shape before it is bent back."""
        return np.maximum(1.0, SEEN_MARGIN * self.seen)

    @cached_property
    def gaps(self) -> Gaps:
        """Between lips and between lids."""
        return Gaps.of(self.neutral, self.shapes)

    def limited(
        self, weights: Float[np.ndarray, "T E"], opening_m: Float[np.ndarray, " T"] | None = None
    ) -> Float[np.ndarray, "T E"]:
        """Weights within the limits, at which neither lips nor lids cross.

        Args:
            opening_m: how far speech opens the middle of the lips beyond the neutral face.
        """
        return self.gaps.uncrossed(soft_limit(np.asarray(weights, np.float64), self.most), opening_m)

    def displace(
        self, weights: Float[np.ndarray, "T E"], opening_m: Float[np.ndarray, " T"] | None = None
    ) -> Float[np.ndarray, "T 478 3"]:
        """What limited weights move, metres."""
        return np.tensordot(self.limited(weights, opening_m), self.shapes, 1)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Named arrays for a safetensors file. Shapes are in single precision: 0.3 MB."""
        return {
            "neutral": self.neutral.astype(np.float32),
            "shapes": self.shapes.astype(np.float32),
            "seen": self.seen.astype(np.float32),
            "evidence": self.evidence.astype(np.float32),
        }

    @staticmethod
    def from_arrays(arrays: dict[str, np.ndarray]) -> PersonRig:
        """Inverse of `to_arrays`. Raises KeyError or ValueError for what is no rig."""
        expected = {"neutral": (478, 3), "shapes": (len(SHAPES), 478, 3), "seen": (len(SHAPES),)}
        expected["evidence"] = (len(SHAPES),)
        values = {name: np.asarray(arrays[name], np.float64) for name in expected}
        for name, shape in expected.items():
            if values[name].shape != shape or not np.isfinite(values[name]).all():
                raise ValueError(f"rig.{name} has shape {values[name].shape}, expected {shape} of finite numbers")
        return PersonRig(**values)


def mesh_of_landmarks(landmarks: Float[np.ndarray, "68 3"]) -> Float[np.ndarray, "478 3"]:
    """A whole neutral mesh for somebody of whom only the 68 landmarks are known: the sculpted face, bent to them."""
    source, target = neutral()[LANDMARKS68], np.asarray(landmarks, np.float64)
    scale, rotation, shift = align_similarity(source[None], target, np.ones(68))
    mesh = scale[0] * neutral() @ rotation[0].T + shift[0]
    return mesh + spread_from_landmarks(mesh, (target - mesh[LANDMARKS68])[None])[0]


def spread_from_landmarks(
    mesh: Float[np.ndarray, "478 3"], moved: Float[np.ndarray, "N 68 3"]
) -> Float[np.ndarray, "N 478 3"]:
    """Displacements of the 68 landmarks as displacements of the whole mesh: splines with kernel r (Duchon 1977)."""
    known = mesh[LANDMARKS68]

    def kernel(points: np.ndarray) -> np.ndarray:
        away = np.linalg.norm(points[:, None] - known[None], axis=-1)
        return np.concatenate([away, np.ones((len(points), 1)), points], axis=1)

    system = np.zeros((72, 72))
    system[:68] = kernel(known)
    system[68:, :68] = system[:68, 68:].T
    system[np.arange(68), np.arange(68)] -= _SPLINE_SLACK_M
    right = np.zeros((72, len(moved) * 3))
    right[:68] = np.moveaxis(moved, 0, 1).reshape(68, -1)
    solved = kernel(mesh) @ np.linalg.lstsq(system, right, rcond=None)[0]
    return np.moveaxis(solved.reshape(len(mesh), len(moved), 3), 1, 0)


def neutral_mesh(motion: Motion) -> Float[np.ndarray, "478 3"]:
    """The person at rest: the median of the frames whose lips are closest to shut and whose eyes are open.

    Raises UserError when the motion has no mesh.
    """
    points = motion.channels.get("landmarks478")
    if points is None or not motion.valid.any():
        raise UserError(
            "motion",
            expected="a tracked motion with the face mesh (channel landmarks478)",
            got="one without" if points is None else "no frame with a face",
            remedy="Make it with `gtalk prepare` or `gtalk motion track`.",
        )
    points = points[motion.valid].astype(np.float64)
    upper, lower = EYELID_PAIRS.reshape(-1, 2).T
    lids = np.linalg.norm(points[:, upper] - points[:, lower], axis=-1).mean(1)
    upper, lower = LIP_GAP_PAIRS.T
    lips = (points[:, upper, 1] - points[:, lower, 1]).mean(1)
    awake = lids >= 0.9 * np.median(lids)
    shut = lips <= np.quantile(lips[awake], 0.2)
    return np.median(points[awake & shut], axis=0)
