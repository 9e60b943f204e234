"""Whether hair and clothes of a clip move on their own, looked at in a few of its frames.

To follow what sways costs a clip a third of its preparation and a fit a quarter of its time. Hair that is short or tied
moves as the skull does, and a code of the head's pose says where it is. So dense flow in a few frames, away from the
face, is explained by the head's pose, frame by frame from all the others (the leave-one-out residual of a ridge
regression): what that leaves is loose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from gtalk.dataset.format import MaskClass
from gtalk.geometry.rotation import log_so3
from gtalk.prepare.frame_io import in_order
from gtalk.prepare.torso.sway import Alignment
from gtalk.shapes import Float, UInt8
from gtalk.topology import FACE_OVAL

FRAMES = 28
RIDGE = 1e-2  # of codes of unit variance
BEYOND = 1.1  # of the face's oval: what lies outside is looked at
FAR = 0.15  # face heights: flow that errs by more has lost its way, and counts as so much
FEWEST_PLACES = 12  # of a part, that say something
LOOSEST = 0.9  # share of the places that are firmer: of long hair only the ends may swing
LOOSE_HAIR, LOOSE_CLOTHES = 0.017, 0.03  # face heights
LONG_HAIR = 0.11  # of the oval's area: hair, ears and scarves that lie lower than the mouth
LOOSE_LONG_HAIR = 0.008  # face heights: long hair lags by little and shows it much
LIPS_MIDDLE = 13  # of the mesh


@dataclass(frozen=True)
class Looseness:
    """How far the loosest tenth of the places on each part usually is from where the head's pose would have it, at
    least; face heights.
    """

    head: float
    """Hair, ears, what is worn on them."""
    neck: float
    torso: float
    long_hair: float = 0.0
    """How much of what belongs to the head lies lower than the mouth, beside and below the face's oval; oval areas."""

    def sways(self, torso_followed: bool) -> bool:
        """Whether a clip needs its sway tracked; a torso that is followed on its own texture does not.

        A neck, between a head and a torso, says nothing: it is off where either moves.
        """
        long = self.long_hair > LONG_HAIR and self.head > LOOSE_LONG_HAIR
        return long or self.head > LOOSE_HAIR or (not torso_followed and self.torso > LOOSE_CLOTHES)


def measure_looseness(
    alignment: Alignment,
    labels: UInt8[np.ndarray, "H W"],
    T_world_head: Float[np.ndarray, "T 4 4"],
    frames: Sequence[int],
) -> Looseness:
    """Looseness over some of `frames`, spread evenly.

    Args:
        alignment: with the rest frame.
        labels: MaskClass of every pixel of the rest frame, of any size.
        T_world_head: the head's pose in every frame.
        frames: with a face. Of fewer than half of FRAMES nothing is known, and everything counts as firm.
    """
    chosen = [frames[i] for i in np.unique(np.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).astype(int))]
    if len(chosen) < FRAMES // 2 or not len(alignment.worth):
        return Looseness(0.0, 0.0, 0.0)
    moved, weight = [], []
    for _, flow, doubt in in_order(alignment.follow, chosen):
        moved.append(flow)
        weight.append(alignment.worth * doubt)
    oval = alignment.points_px[alignment.rest, FACE_OVAL]
    height_px = float(np.ptp(oval[:, 1]))
    off = np.linalg.norm(_unexplained(np.stack(moved), T_world_head[chosen]), axis=-1) / height_px
    squared, weights = np.minimum(off, FAR) ** 2, np.stack(weight)
    x, y = alignment.places_px.T
    face = np.zeros(alignment.grey.shape, np.uint8)
    cv2.fillConvexPoly(face, np.round(oval.mean(0) + BEYOND * (oval - oval.mean(0))).astype(np.int32), (1,))
    parts = cv2.resize(labels, alignment.work, interpolation=cv2.INTER_NEAREST)
    part = parts[y, x]
    low = np.arange(len(parts))[:, None] > alignment.points_px[alignment.rest, LIPS_MIDDLE, 1]
    hanging = (parts == MaskClass.HEAD) & (face == 0) & low
    long_hair = float(hanging.sum()) / max(float(cv2.contourArea(oval.astype(np.float32))), 1.0)

    def of(label: MaskClass) -> float:
        here = (part == label) & (face[y, x] == 0)
        if here.sum() < FEWEST_PLACES:
            return 0.0
        total = np.maximum(weights[:, here].sum(0), 1e-9)
        usual = np.sqrt((weights[:, here] * squared[:, here]).sum(0) / total)
        order = np.argsort(usual)
        reached = np.searchsorted(np.cumsum(total[order]), LOOSEST * total.sum())
        return round(float(usual[order[min(int(reached), len(order) - 1)]]), 4)

    return Looseness(of(MaskClass.HEAD), of(MaskClass.NECK), of(MaskClass.TORSO), round(long_hair, 3))


def _unexplained(moved: Float[np.ndarray, "F N 2"], poses: Float[np.ndarray, "F 4 4"]) -> Float[np.ndarray, "F N 2"]:
    """What each frame's displacements have beyond those that the other frames predict from the head's pose."""
    middle = poses[len(poses) // 2, :3, :3]
    code = np.concatenate([np.stack([log_so3(pose[:3, :3] @ middle.T) for pose in poses]), poses[:, :3, 3]], axis=1)
    code = (code - code.mean(0)) / (code.std(0) + 1e-6)
    x = np.concatenate([np.ones((len(code), 1)), code], axis=1)
    penalty = RIDGE * len(x) * np.diag([0.0] + [1.0] * code.shape[1])
    hat = x @ np.linalg.solve(x.T @ x + penalty, x.T)
    left = moved - np.einsum("fg,gnd->fnd", hat, moved)
    return left / (1.0 - np.diag(hat))[:, None, None]
