"""The clip as evidence: how far it has shown each shape, and how this person's shape differs from the sculpted one.

    min over B of sum_t |d_t - sum_e w_te B_e|^2 + sum_e,p ridge / local_ep |B_ep - B0_ep|^2     (p: points)

d are the tracked points against rest, w the weights (Face Landmarker's scores where the tracker kept them, else the
least squares of the landmarks), B0 the sculpted shapes carried to this face. A shape that was hardly shown stays as
sculpted; one that was shown for seconds becomes the person's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtalk.rig.shapes import ARKIT, UNREADABLE, WHOLE, index, settle
from gtalk.rig.weights import bounded_least_squares, weights_of_motion
from gtalk.shapes import Float
from gtalk.topology import LANDMARKS68, N_FACE
from gtalk.types import OUTER_EYE_DISTANCE_M, Motion

_RIDGE_FRAMES = 15.0  # that many frames at full weight outweigh the sculpted shape
_UNSURE = ("mouthRoll", "mouthShrug", "mouthPress", "mouthClose", "jawForward")  # landmarks cannot tell them apart
_UNSURE_FACTOR = 20.0
_SCORE_GAIN = 1.3  # the scores of a real smile say less than its displacement (measured on acted clips)
_SEEN_QUANTILE, _QUIET_QUANTILE = 0.99, 0.1
_PLAIN_RIDGE = 0.03  # squared outer-eye distances: about what a brow's shape measures
_SIDE_M = 0.008  # how gradually a shape of both sides is divided between its halves


@dataclass(frozen=True)
class Evidence:
    """What a clip says about the shapes of a face."""

    shapes: Float[np.ndarray, "E 478 3"]
    """Corrected, metres."""
    seen: Float[np.ndarray, " E"]
    """How much of a weight of 1 the clip has surely shown, extremes apart."""
    share: Float[np.ndarray, " E"]
    """How much of a shape is measured: 0 sculpted to 1 all from the clip."""


def weigh(motion: Motion, neutral: Float[np.ndarray, "478 3"], shapes: Float[np.ndarray, "E 478 3"]) -> Evidence:
    """Correct sculpted shapes by a tracked clip with the channel `landmarks478`."""
    motion = motion[motion.valid]
    weights = _scores(motion) if "arkit52" in motion.channels else None
    if weights is None:
        weights = weights_of_motion(motion, neutral[LANDMARKS68], shapes[:, LANDMARKS68])
    columns = [i for i, name in enumerate(ARKIT) if not name.startswith("eyeLook") and weights[:, i].any()]
    out, seen, share = shapes.copy(), np.zeros(len(shapes)), np.zeros(len(shapes))
    if not columns:  # a face at rest throughout says nothing
        settle(out, neutral)
        return Evidence(out, seen, share)
    w = weights[:, columns]
    prior = shapes[[index(ARKIT[i]) for i in columns], :N_FACE]
    moved = motion.channels["landmarks478"][:, :N_FACE].astype(np.float64) - neutral[:N_FACE]
    # What the clip's mean face differs from rest is nobody's movement: it would be taken for the commonest shape.
    offset = (moved - np.tensordot(w, prior, 1)).mean(0)
    left = moved - offset - np.tensordot(w, prior, 1)
    gram = w.T @ w
    unsure = np.array(["arkit52" not in motion.channels and ARKIT[i].startswith(_UNSURE) for i in columns])
    ridge = _RIDGE_FRAMES * np.where(unsure, _UNSURE_FACTOR, 1.0)
    left_side = 1.0 / (1.0 + np.exp(-neutral[:N_FACE, 0] / _SIDE_M))  # the person's left
    local = _local([ARKIT[i] for i in columns], prior, left_side)
    systems = gram + (ridge / local)[:, :, None] * np.eye(len(columns))  # [468,S,S]
    change = np.moveaxis(np.linalg.solve(systems, np.einsum("ts,tpc->psc", w, left)), 0, 1)
    low, high = np.quantile(_sure(w, columns, prior, moved), [_QUIET_QUANTILE, _SEEN_QUANTILE], axis=0)
    top = high - low  # a weight that never changes is a face at rest that was taken a little wrong
    for k, i in enumerate(columns):
        name = ARKIT[i]
        known = gram[k, k] / (gram[k, k] + ridge[k])
        parts = zip(WHOLE[name], (left_side, 1.0 - left_side), strict=True) if name in WHOLE else [(name, None)]
        for part, mask in parts:
            out[index(part), :N_FACE] += change[k] if mask is None else mask[:, None] * change[k]
            seen[index(part)], share[index(part)] = top[k], known
        seen[index(name)], share[index(name)] = top[k], known
    settle(out, neutral)
    return Evidence(out, seen, share)


def _sure(w: np.ndarray, columns: list[int], prior: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """[T,S] weights that the whole mesh says too, where shapes that undo each other are not worth their while.

    A few landmarks are explained as well by a lip that goes up and down at once: such weights were never seen.
    """
    unit = 1.0 / OUTER_EYE_DISTANCE_M
    whole = bounded_least_squares(
        unit * prior.reshape(len(prior), -1), unit * moved.reshape(len(moved), -1), _PLAIN_RIDGE
    )
    eyes = np.array([ARKIT[i].startswith("eyeBlink") for i in columns])  # lids are tracked by themselves
    unreadable = np.array([ARKIT[i] in UNREADABLE for i in columns])
    return np.where(unreadable, 0.0, np.where(eyes, w, np.minimum(w, whole)))


def _local(names: list[str], prior: np.ndarray, left_side: np.ndarray) -> np.ndarray:
    """[468,S] how freely a shape may change at a point: on its own side, and where it moves anything at all.

    Shapes that always come together (both corners of a smile) can only be told apart by where they act.
    """
    size = np.linalg.norm(prior, axis=-1)
    out = np.clip(3.0 * size / np.maximum(size.max(1, keepdims=True), 1e-9), 0.02, 1.0)
    for k, name in enumerate(names):
        if name.endswith(("Left", "Right")) and not name.startswith(("jaw", "mouthLeft", "mouthRight")):
            out[k] *= left_side if name.endswith("Left") else 1.0 - left_side
    return np.maximum(out, 1e-3).T


def _scores(motion: Motion) -> np.ndarray:
    """[T,52] Face Landmarker's scores above the person's own quiet ones, as weights; 0 for what it cannot read."""
    order = sorted(set(ARKIT) - {"tongueOut"})
    found = motion.channels["arkit52"][:, 1:].astype(np.float64)
    above = np.clip(_SCORE_GAIN * (found - np.quantile(found, 0.1, axis=0)), 0.0, 1.0)
    out = np.zeros((len(motion), len(ARKIT)))
    for name, column in zip(order, above.T, strict=True):
        out[:, ARKIT.index(name)] = 0.0 if name in UNREADABLE else column
    return out
