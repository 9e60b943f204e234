"""What a similarity leaves of the torso's motion: a smooth bend of the clothes, for every frame.

A body turns and leans, a collar slides over a jacket. In the rest's place, points move by a displacement that is
bilinear between a few control points. It is found as `torso_dense` finds the similarity: by Gauss-Newton steps that
bring the frame's grey values onto the mean image's, with neighbouring control points held together.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from scipy.ndimage import gaussian_filter1d

from gtalk.dataset.format import Segment
from gtalk.geometry.similarity import apply
from gtalk.prepare.frame_io import in_turns
from gtalk.prepare.torso.dense import Images, Mean, compare, mean_image, normal_equations
from gtalk.shapes import Float
from gtalk.types import TORSO_BEND

COLUMNS, ROWS = 6, 3  # control points over the torso: TORSO_BEND numbers
ROUNDS = ((2.5, 0.3), (1.5, 0.3), (1.0, 0.3))  # blur in pixels, difference of grey beyond which a pixel counts less
APART_PX = 0.5  # expected difference between neighbouring control points, at the working size
FAR_PX = 3.0  # expected displacement
SMOOTH_FRAMES = 1.0


def bend(images: Images, matrices: Float[np.ndarray, "T 2 3"], segments: Sequence[Segment]) -> Float[np.ndarray, "T B"]:
    """Displacements (x, y) of the control points, row by row, in image heights of the rest.

    Args:
        images: torsos of all frames.
        matrices: rest -> frame, as good as similarities can be.
        segments: parts without a cut; nothing is smoothed across one.

    Returns:
        [T, TORSO_BEND]; zeros where there is nothing to follow.
    """
    height = images.read(0)[0].shape[0]
    moved = np.zeros((len(matrices), TORSO_BEND))
    box, prior = None, _prior()
    for blur_px, tolerance in ROUNDS:
        mean = mean_image(images, matrices, blur_px)
        if mean is None:
            return moved
        # One box for all rounds: what a round found is where the next one starts.
        box = (mean.points.min(0), mean.points.max(0)) if box is None else box
        shares = _shares(mean.points, *box)
        step = partial(_step, mean, images, matrices, shares, moved, prior, blur_px, tolerance)
        moved = np.stack([*in_turns(step, range(len(matrices)))])
    for segment in segments:
        span = slice(segment.start, segment.stop)
        moved[span] = gaussian_filter1d(moved[span], SMOOTH_FRAMES, axis=0, mode="nearest")
    return moved / height


def _shares(
    points: Float[np.ndarray, "N 2"], low: Float[np.ndarray, "2"], high: Float[np.ndarray, "2"]
) -> Float[np.ndarray, "N C"]:
    """Bilinear weights of the control points, which span the box from `low` to `high`; beyond it the edge's go on."""
    at = np.clip((points - low) / np.maximum(high - low, 1.0), 0.0, 1.0) * [COLUMNS - 1, ROWS - 1]
    x, y = (np.maximum(0.0, 1.0 - np.abs(at[:, d, None] - np.arange(n))) for d, n in ((0, COLUMNS), (1, ROWS)))
    return (y[:, :, None] * x[:, None, :]).reshape(len(points), -1)


def _prior() -> Float[np.ndarray, "C C"]:
    """Inverse covariance of one coordinate of the control points."""
    number = np.arange(COLUMNS * ROWS).reshape(ROWS, COLUMNS)
    pairs = [*zip(number[:, 1:].ravel(), number[:, :-1].ravel(), strict=True)]
    pairs += [*zip(number[1:].ravel(), number[:-1].ravel(), strict=True)]
    precision = np.eye(COLUMNS * ROWS) / FAR_PX**2
    for a, b in pairs:
        precision[[a, b], [a, b]] += 1.0 / APART_PX**2
        precision[[a, b], [b, a]] -= 1.0 / APART_PX**2
    return precision


def _step(
    mean: Mean,
    images: Images,
    matrices: np.ndarray,
    shares: np.ndarray,
    moved: np.ndarray,
    prior: np.ndarray,
    blur_px: float,
    tolerance: float,
    index: int,
) -> np.ndarray:
    """Better displacements of a frame's control points, pixels."""
    count = shares.shape[1]
    places_px = apply(matrices[index], mean.points + shares @ moved[index].reshape(count, 2))
    compared = compare(mean, images, index, places_px, blur_px, tolerance)
    if compared is None:
        return moved[index]
    seen, off, weight = compared
    slopes = (mean.gradient[seen, None, :] * shares[seen, :, None]).reshape(len(off), -1)
    normal, pull = normal_equations(slopes, off, weight)
    return np.linalg.solve(normal + np.kron(prior, np.eye(2)), pull + normal @ moved[index])
