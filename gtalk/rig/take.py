"""An expression take's motion as the clip's own tracking would have put it.

Each recording is tracked by itself: with its own camera, and a face whose size, turn and details differ a little from
those that the clip's tracking found. The bones of both faces at rest say how one head space lies in the other; what
still differs at rest is the trackers' disagreement about the person, not an expression.
"""

from __future__ import annotations

import numpy as np

from gtalk.geometry.rotation import align_similarity
from gtalk.rig.person import neutral_mesh
from gtalk.shapes import Float
from gtalk.topology import LANDMARKS68, N_FACE, RIGID
from gtalk.types import Motion

_QUIET_SHARE, _QUIET_LEAST = 0.1, 5  # of the take's frames: its quiet face
_ROUNDS = 3


def on_clip(take: Motion, clip: Motion) -> Motion:
    """The take in the clip's head space; head poses are such that every point is seen where it was.

    Raises UserError when one of them has no face mesh.

    Args:
        take: tracked, with head poses relative to its camera; it holds a quiet face somewhere.
        clip: the person's clip, the part that may be learned from.
    """
    reference = neutral_mesh(clip)
    rest = quiet_face(take, reference)
    points = take.channels["landmarks478"].astype(np.float64)
    scale, rotation, shift = _similarity(rest, reference)
    moved = scale * (points - rest) @ rotation.T + reference
    pose = take.head_pose.astype(np.float64)
    turned = pose[:, :3, :3] @ rotation.T
    pose[:, :3, 3] = scale * pose[:, :3, 3] - turned @ shift
    pose[:, :3, :3] = turned
    channels = {"landmarks478": moved.astype(np.float32)}
    return take.replace(landmarks=moved[:, LANDMARKS68], head_pose=pose, channels=channels)


def quiet_face(take: Motion, reference: Float[np.ndarray, "478 3"]) -> Float[np.ndarray, "478 3"]:
    """The take's face where it comes nearest to a face at rest, in the take's own head space.

    Of expressions, no measure of shape tells whose they are (one person's angry and happy face differ as much as two
    people's); their quiet faces do. Raises UserError when the take has no face mesh.
    """
    rest = neutral_mesh(take)
    points = take.channels["landmarks478"].astype(np.float64)
    count = max(_QUIET_LEAST, int(_QUIET_SHARE * take.valid.sum()))
    for _ in range(_ROUNDS):
        scale, rotation, shift = _similarity(rest, reference)
        moved = scale * points @ rotation.T + shift
        apart = ((moved[:, :N_FACE] - reference[:N_FACE]) ** 2).sum((1, 2))
        rest = np.median(points[np.argsort(np.where(take.valid, apart, np.inf))[:count]], axis=0)
    return rest


def _similarity(
    source: Float[np.ndarray, "478 3"], target: Float[np.ndarray, "478 3"]
) -> tuple[float, Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]]:
    scale, rotation, shift = align_similarity(source[None, RIGID], target[RIGID], np.ones(len(RIGID)))
    return float(scale[0]), rotation[0], shift[0]
