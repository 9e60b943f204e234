"""The torso's motion once more, from its pixels: every frame is aligned with the mean of all of them.

Corners are few on a plain suit, and across a cut they are not found again; the edge between a dark jacket
and a white collar is seen in every frame. The mean image of the torso, in the rest's place, is what frames are
aligned with (congealing, Learned-Miller 2006), by Gauss-Newton steps over a whole shot with the smoothness of
`torso_solve`; the mean grows sharper as they agree. Grey values at points where the mean has a gradient are
compared (Lucas and Kanade 1981), so that a step costs the points, not the image.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from gtalk.dataset.format import Segment
from gtalk.geometry.similarity import apply, opencv_matrix
from gtalk.prepare.frame_io import in_order, in_turns
from gtalk.prepare.torso.solve import (
    NOISE_PX,
    Observations,
    rows_along,
    solve_steps,
    to_matrices,
    to_parameters,
)
from gtalk.shapes import Bool, Float, UInt8

POINTS = 1500
SAMPLES = 160  # frames that the mean is made of
ROUNDS = ((6.0, 0.5), (4.0, 0.5), (2.5, 0.5), (1.5, 0.3), (1.0, 0.3))
"""Of each: the blur in pixels, and the difference of grey beyond which a pixel counts less."""
LEAST_SEEN = 0.5  # share of the frames that must see a place of the mean
LEAST_POINTS = 100
GREY_NOISE = 0.05  # of 1
ALIKE = 5.0  # neighbouring pixels that count as one
LEAST_WORTH, MOST_WORTH = 8.0, 1000.0  # corners that a frame's pixels are worth: below, a shot stays as it is; at most


class Images:
    """Grey torsos of all frames, in a temporary file: a long clip's do not fit in memory."""

    def __init__(self, total: int, size: tuple[int, int]) -> None:
        """`size`: (width, height)."""
        self._total, self._shape = total, (2, size[1], size[0])
        self._bytes = 2 * size[0] * size[1]
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as this object)

    def put(self, index: int, grey: UInt8[np.ndarray, "H W"], torso: UInt8[np.ndarray, "H W"]) -> None:
        """Keep a frame; `torso` is 255 where the torso is beyond doubt."""
        os.pwrite(self._file.fileno(), np.stack([grey, torso]).tobytes(), index * self._bytes)

    def __len__(self) -> int:
        return self._total

    def read(self, index: int) -> tuple[UInt8[np.ndarray, "H W"], UInt8[np.ndarray, "H W"]]:
        """What was put."""
        stored = os.pread(self._file.fileno(), self._bytes, index * self._bytes)
        grey, torso = np.frombuffer(stored, np.uint8).reshape(self._shape)
        return grey, torso

    def smooth(self, index: int, blur_px: float) -> tuple[Float[np.ndarray, "H W"], UInt8[np.ndarray, "H W"]]:
        """The same with grey values from 0 to 1, smoothed; far from the torso they are 0."""
        grey, torso = self.read(index)
        left, top, width, height = cv2.boundingRect(torso)
        reach = int(4 * blur_px) + 3  # of OpenCV's kernel, and a pixel to interpolate with
        part = slice(max(0, top - reach), top + height + reach), slice(max(0, left - reach), left + width + reach)
        smooth = np.zeros(grey.shape, np.float32)
        smooth[part] = cv2.GaussianBlur(grey[part].astype(np.float32) / 255, (0, 0), blur_px)
        return smooth, torso


@dataclass(frozen=True)
class Mean:
    """Points of the mean image that say where it lies."""

    points: Float[np.ndarray, "N 2"]
    grey: Float[np.ndarray, " N"]
    gradient: Float[np.ndarray, "N 2"]


def align(
    images: Images,
    matrices: Float[np.ndarray, "T 2 3"],
    contours: Sequence[Observations],
    segments: Sequence[Segment],
    centre: Float[np.ndarray, "2"],
    radius: float,
) -> Float[np.ndarray, "T 2 3"]:
    """Matrices rest -> frame that bring every frame's torso onto the mean of all.

    Args:
        images: at the size that the other arguments count in.
        matrices: a first guess, some pixels off.
        contours: of each frame; what was seen of its shoulder line helps where pixels say nothing.
        segments: parts without a cut; nothing is smoothed across one.
        centre, radius: of the rest's torso, see `torso_solve`.
    """
    matrices = matrices.copy()
    for blur_px, tolerance in ROUNDS:
        mean = mean_image(images, matrices, blur_px)
        if mean is None:
            return matrices
        for segment in segments:
            span = slice(segment.start, segment.stop)
            z = to_parameters(matrices[span], centre, radius)
            step = partial(_step, mean, images, matrices, blur_px, tolerance, centre, radius)
            steps = list(in_turns(step, range(segment.start, segment.stop)))
            if np.median([worth for _, _, worth in steps]) >= LEAST_WORTH:
                z = solve_steps(steps, contours[span], z, centre, radius)
                matrices[span] = to_matrices(z, centre, radius)
    return matrices


def mean_image(images: Images, matrices: Float[np.ndarray, "T 2 3"], blur_px: float) -> Mean | None:
    """The mean of frames spread over the clip, brought to the rest's place; None where there is nothing to follow."""
    chosen = np.unique(np.linspace(0, len(images) - 1, SAMPLES).round().astype(int)).tolist()
    height, width = images.read(0)[1].shape
    total, weight = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)

    def brought(index: int) -> tuple[np.ndarray, np.ndarray]:
        placed = opencv_matrix(matrices[index])
        grey, torso = images.smooth(index, blur_px)
        seen = _placed(torso, placed).astype(np.float32) / 255
        seen[seen < 0.99] = 0.0
        return seen, seen * _placed(grey, placed)

    for seen, grey in in_order(brought, chosen):
        total += grey
        weight += seen
    mean = total / np.maximum(weight, 1.0)
    known = (weight >= LEAST_SEEN * len(chosen)).astype(np.uint8)
    known = cv2.erode(known, np.ones((3, 3), np.uint8)) > 0
    gradient = np.dstack([cv2.Scharr(mean, cv2.CV_32F, 1, 0), cv2.Scharr(mean, cv2.CV_32F, 0, 1)]) / 32
    strength = np.linalg.norm(gradient, axis=2) * known
    ys, xs = np.nonzero(strength > 1e-3)
    if len(xs) < LEAST_POINTS:
        return None
    if len(xs) > POINTS:
        share = strength[ys, xs] / strength[ys, xs].sum()
        kept = np.random.default_rng(0).choice(len(xs), POINTS, replace=False, p=share)
        ys, xs = ys[kept], xs[kept]
    points = np.stack([xs, ys], axis=1) + 0.5
    return Mean(points, mean[ys, xs].astype(np.float64), gradient[ys, xs].astype(np.float64))


def _step(
    mean: Mean,
    images: Images,
    matrices: np.ndarray,
    blur_px: float,
    tolerance: float,
    centre: np.ndarray,
    radius: float,
    index: int,
) -> tuple[np.ndarray, np.ndarray, float]:
    """(normal matrix [4,4], right side [4], worth in corners) of a frame's pixels around its matrix."""
    matrix = matrices[index]
    compared = compare(mean, images, index, apply(matrix, mean.points), blur_px, tolerance)
    if compared is None:
        return np.zeros((4, 4)), np.zeros(4), 0.0
    seen, off, weight = compared
    # Points move by A in the frame, so gradients turn by its inverse transposed.
    gradient = mean.gradient[seen] @ np.linalg.inv(matrix[:, :2])
    slopes = rows_along(gradient, mean.points[seen], centre, radius)
    normal, pull = normal_equations(slopes, off, weight)
    worth = 0.5 * float(normal[2, 2] + normal[3, 3]) * NOISE_PX**2
    scale = min(1.0, MOST_WORTH / max(worth, 1e-9))
    z = to_parameters(matrices[index : index + 1], centre, radius)[0]
    return normal * scale, (pull + normal @ z) * scale, worth * scale


def compare(
    mean: Mean, images: Images, index: int, places_px: Float[np.ndarray, "N 2"], blur_px: float, tolerance: float
) -> tuple[Bool[np.ndarray, " N"], Float[np.ndarray, " S"], Float[np.ndarray, " S"]] | None:
    """What the mean image has more of than a frame at `places_px` of it.

    Returns:
        Which of the mean's points show the torso, and of these the difference of grey and its weight; None where
        too few do.
    """
    at = places_px - 0.5
    x, y = at.astype(np.float32)[:, None].transpose(2, 0, 1)
    image, torso = images.smooth(index, blur_px)
    height, width = torso.shape
    seen = ((at > 1) & (at < [width - 2, height - 2])).all(1)
    seen &= cv2.remap(torso, x, y, cv2.INTER_LINEAR)[:, 0] > 250
    if seen.sum() < LEAST_POINTS:
        return None
    off = (mean.grey - cv2.remap(image, x, y, cv2.INTER_LINEAR)[:, 0])[seen]
    weight = 1.0 / (ALIKE * GREY_NOISE**2 * (1.0 + ((off - np.median(off)) / tolerance) ** 2) ** 2)
    return seen, off, weight


def normal_equations(
    slopes: Float[np.ndarray, "S P"], off: Float[np.ndarray, " S"], weight: Float[np.ndarray, " S"]
) -> tuple[Float[np.ndarray, "P P"], Float[np.ndarray, " P"]]:
    """Of the least squares problem slopes * x = off + c, where c is how much brighter the frame is as a whole."""
    total = weight.sum()
    mean, mean_off = weight @ slopes / total, weight @ off / total
    weighted = slopes * weight[:, None]
    normal = weighted.T @ slopes - total * np.outer(mean, mean)
    return normal, weighted.T @ off - total * mean_off * mean


def _placed(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """A frame brought to the rest's place."""
    return cv2.warpAffine(image, matrix, image.shape[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
