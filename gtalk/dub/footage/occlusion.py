"""What stands in front of the face in a shot: where the image is not as it usually is there.

An avatar is never quite the person, so its difference to the image says little by itself. But it is much the
same in every frame, while a hand, a cup or a microphone comes and goes. Two things are learned for every cell of
a square that moves with the head, from frames all over the shot: the colour difference to the render, smoothed,
and how rich in edges the image is, since a hand may have the face's colour. Cells that leave both their usual
values and those of their neighbours together are an occluder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from gtalk.shapes import Bool, Float, UInt8

CELLS = 64
_EYES = np.array([[20.0, 16.0], [44.0, 16.0]])  # where the outer eye corners come to lie, cells
_FINE = 4  # pixels of a cell's side in which edges are looked for
_SMOOTH_CELLS = 1.2
_LEAST_SPREAD = np.array([3.0, 3.0, 3.0, 2.0], np.float32)  # grey levels; of edges, a pixel of a quarter cell
_SEED, _GROWN = 5.0, 2.5  # spreads: an occluder begins where it is sure and reaches as far as it is likely
_LEAST_CELLS = 16
_BORDER_CELLS = 2
_MOST_COVERED = 0.03  # of the mask


@dataclass(frozen=True)
class Occlusion:
    """What is usual in one shot, cell by cell: median and spread of red, green, blue and edges."""

    usual: Float[np.ndarray, "C C 4"]
    spread: Float[np.ndarray, "C C 4"]

    @staticmethod
    def learn(cells: Sequence[Float[np.ndarray, "C C 4"]]) -> Occlusion:
        """From `to_cells` of frames all over a shot, in less than half of which any cell is covered."""
        stack = np.stack([steady(one) for one in cells])
        usual = np.median(stack, axis=0)
        spread = 1.4826 * np.median(np.abs(stack - usual), axis=0)
        # A cell at an edge of the face differs when its neighbour does: the head is tracked to a cell, not better.
        spread = cv2.dilate(spread.astype(np.float32), np.ones((3, 3), np.uint8))
        return Occlusion(usual.astype(np.float32), np.maximum(spread, _LEAST_SPREAD))

    def covered(self, cells: Float[np.ndarray, "C C 4"]) -> Bool[np.ndarray, "C C"]:
        """Cells in front of which something stands."""
        off = (np.abs(steady(cells) - self.usual) / self.spread).max(axis=-1)
        off = np.asarray(cv2.blur(np.where(np.isfinite(cells).all(axis=-1), off, 0.0), (3, 3)), np.float64)
        likely = cv2.morphologyEx((off > _GROWN).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
        count, components = cv2.connectedComponents(likely, connectivity=4)
        labels = np.asarray(components, np.int64)
        sure = np.bincount(labels[off > _SEED], minlength=count)
        sure[0] = 0
        found = (sure[labels] >= _LEAST_CELLS).astype(np.uint8)
        return cv2.dilate(found, np.ones((2 * _BORDER_CELLS + 1,) * 2, np.uint8)).astype(bool)


def steady(cells: Float[np.ndarray, "C C 4"]) -> Float[np.ndarray, "C C 4"]:
    """Without what all cells have in common, since the shot's light may change as a whole; 0 off the face."""
    filled = np.nan_to_num(cells)
    inside = np.isfinite(cells).all(axis=-1)
    common = np.median(filled[inside], axis=0) if inside.any() else np.zeros(4)
    return np.where(inside[..., None], filled - common, 0.0)


def to_cells(
    original: UInt8[np.ndarray, "H W 3"],
    as_shot: UInt8[np.ndarray, "H W 3"],
    alpha: UInt8[np.ndarray, "H W"],
    points_px: Float[np.ndarray, "68 2"],
) -> Float[np.ndarray, "C C 4"]:
    """Colour difference of an image and its render, and edges of the image; NaN off the face. float32."""
    transform = cells_from_pixels(points_px)
    scale = np.sqrt(abs(np.linalg.det(transform[:, :2])))
    # Collar and shoulders move against the head, and would look like something in front of it at each nod.
    face = np.zeros(alpha.shape, np.uint8)
    cv2.fillConvexPoly(face, cv2.convexHull(points_px.astype(np.float32)).round().astype(np.int32), (1.0,))
    solid = ((alpha > 250) & (face > 0)).astype(np.float32)
    difference = (original.astype(np.float32) - as_shot) * solid[..., None]
    total = cv2.GaussianBlur(solid, (0, 0), _SMOOTH_CELLS / scale)
    mean = cv2.GaussianBlur(difference, (0, 0), _SMOOTH_CELLS / scale) / np.maximum(total, 1e-3)[..., None]
    mean[total < 0.6] = np.nan
    colours = cv2.warpAffine(mean, transform, (CELLS, CELLS), flags=cv2.INTER_NEAREST, borderValue=(np.nan,) * 3)
    return np.dstack([colours, _edges(original, transform, scale)])


def _edges(original: np.ndarray, transform: np.ndarray, scale: float) -> np.ndarray:
    """Mean gradient of each cell, at a resolution that goes with the head's size."""
    grey = cv2.cvtColor(original, cv2.COLOR_RGB2GRAY).astype(np.float32)
    blur = max(0.4, 0.5 / (scale * _FINE))
    side = (CELLS * _FINE,) * 2
    fine = cv2.warpAffine(
        cv2.GaussianBlur(grey, (0, 0), blur), transform * _FINE, side, borderMode=cv2.BORDER_REPLICATE
    )
    size = np.hypot(cv2.Sobel(fine, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(fine, cv2.CV_32F, 0, 1, scale=1 / 8))
    coarse = cv2.resize(size, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(coarse, (0, 0), _SMOOTH_CELLS)


def cells_from_pixels(points_px: Float[np.ndarray, "68 2"]) -> Float[np.ndarray, "2 3"]:
    """The similarity that brings the outer eye corners to their cells."""
    left, right = points_px[36], points_px[45]
    (a, b), (c, d) = right - left, _EYES[1] - _EYES[0]
    # As complex numbers: turn and scale are one quotient.
    turn = complex(c, d) / complex(a, b) if abs(complex(a, b)) > 1e-6 else complex(1, 0)
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.column_stack([linear, _EYES[0] - linear @ left])


def keep_mask(
    covered: Bool[np.ndarray, "C C"], points_px: Float[np.ndarray, "68 2"], size: tuple[int, int]
) -> Float[np.ndarray, "H W"]:
    """Weight that the rendered face keeps, 1 where nothing stands before it, in an image of `size`. float32."""
    if not covered.any():
        return np.ones(size[::-1], np.float32)
    free = cv2.GaussianBlur(1.0 - covered.astype(np.float32), (0, 0), 1.0)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    transform = cells_from_pixels(points_px)
    return cv2.warpAffine(free, transform, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=(1.0,))


def hides_mouth(free: Float[np.ndarray, "H W"], mask: Float[np.ndarray, "H W"]) -> bool:
    """Whether so much of the mask is covered that the tracked mouth is a guess and the image had better stay."""
    return float((mask * (1.0 - free)).sum()) > _MOST_COVERED * float(mask.sum())
