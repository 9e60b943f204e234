"""A triangle z-buffer in numpy: every candidate (triangle, pixel) pair at once, nearest one kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Fragments:
    """The visible surface: one row per covered pixel, in the order of the pixels."""

    pixel: np.ndarray
    """[P] int64, flat index of the pixel."""
    triangle: np.ndarray
    """[P] int64."""
    weights: np.ndarray
    """[P,3] float32, perspective-correct weights of the triangle's vertices."""
    depth: np.ndarray
    """[P] float32, distance along the axis of view."""

    def interpolate(self, triangles: np.ndarray, values: np.ndarray) -> np.ndarray:
        """[P,C] of per-vertex values [V,C]."""
        corners = triangles[self.triangle]
        result = values[corners[:, 0]] * self.weights[:, :1]
        result += values[corners[:, 1]] * self.weights[:, 1:2]
        result += values[corners[:, 2]] * self.weights[:, 2:3]
        return result


def rasterise(
    points: np.ndarray, triangles: np.ndarray, width: int, height: int, *, perspective: bool = True
) -> Fragments:
    """Visible surface of triangles that face the viewer.

    Args:
        points: [V,3] pixels x, y (down; the first pixel's centre is at 0.5) and depth > 0.
        triangles: [F,3], counter-clockwise seen from the front (in a frame with y up).
        width: pixels.
        height: pixels.
        perspective: weights are divided by depth; False for parallel projection.
    """
    points = points.astype(np.float32)
    faces, low, high, edges = _setup(points, triangles, width, height)
    owner, x, y = _pixels(edges, low, high)
    fx, fy = x.astype(np.float32) + 0.5, y.astype(np.float32) + 0.5
    plane = edges.astype(np.float32)[owner]
    weights = np.empty((len(owner), 3), np.float32)
    for k in (0, 1):
        np.clip(plane[:, 3 * k] * fx + plane[:, 3 * k + 1] * fy + plane[:, 3 * k + 2], 0, 1, out=weights[:, k + 1])
    weights[:, 0] = np.maximum(1 - weights[:, 1] - weights[:, 2], 0)
    z = points[:, 2][triangles[faces]]
    if perspective:
        weights *= (1 / z)[owner]
        depth = 1 / (weights[:, 0] + weights[:, 1] + weights[:, 2])
    else:
        corner = z[owner]
        depth = weights[:, 0] * corner[:, 0] + weights[:, 1] * corner[:, 1] + weights[:, 2] * corner[:, 2]
    winner = _nearest(y.astype(np.int64) * width + x, depth, width * height)
    chosen, nearest = weights[winner], depth[winner]
    if perspective:
        chosen *= nearest[:, None]
    pixel = y[winner].astype(np.int64) * width + x[winner]
    return Fragments(pixel, faces[owner[winner]], chosen, nearest)


def _setup(points: np.ndarray, triangles: np.ndarray, width: int, height: int) -> tuple[np.ndarray, ...]:
    """Triangles that face us and touch the picture: indices, first and last pixels, planes of two weights."""
    corners = points.astype(np.float64)[triangles]
    a, b, c = (corners[:, k, :2] for k in range(3))
    e1, e2 = b - a, c - a
    area = e1[:, 0] * e2[:, 1] - e1[:, 1] * e2[:, 0]
    keep = np.flatnonzero(
        (area < -1e-9) & (np.minimum(np.minimum(corners[:, 0, 2], corners[:, 1, 2]), corners[:, 2, 2]) > 0)
    )
    a, b, c, e1, e2, area = a[keep], b[keep], c[keep], e1[keep], e2[keep], area[keep]
    limit = np.array([width, height])
    low = np.clip(np.ceil(np.minimum(np.minimum(a, b), c) - 0.5), 0, limit).astype(np.int32)
    high = np.clip(np.floor(np.maximum(np.maximum(a, b), c) - 0.5) + 1, 0, limit).astype(np.int32)
    some = np.flatnonzero((high > low).all(1))
    a, e1, e2, area = a[some], e1[some], e2[some], area[some]
    first = np.stack([e2[:, 1], -e2[:, 0]], axis=1) / area[:, None]
    second = np.stack([-e1[:, 1], e1[:, 0]], axis=1) / area[:, None]
    offsets = [-(side * a).sum(1)[:, None] for side in (first, second)]
    edges = np.concatenate([first, offsets[0], second, offsets[1]], axis=1)
    return keep[some], low[some], high[some], edges


def _pixels(edges: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(triangle, x, y) of every pixel centre inside a triangle, row by row."""
    rows = high[:, 1] - low[:, 1]
    owner, step = _expand(rows)
    y = low[owner, 1] + step
    fy = y + 0.5
    plane = edges[owner]
    left, right = low[owner, 0] + 0.5, high[owner, 0] - 0.5
    slopes = (plane[:, 0], plane[:, 3], -plane[:, 0] - plane[:, 3])
    values = [plane[:, 3 * k + 1] * fy + plane[:, 3 * k + 2] for k in (0, 1)]
    values.append(1 - values[0] - values[1])
    # Each weight is linear along the row: it bounds the span from the left or from the right.
    for slope, value in zip(slopes, values, strict=True):
        with np.errstate(divide="ignore", invalid="ignore"):
            zero = -value / slope
        left = np.where(slope > 0, np.maximum(left, zero), left)
        right = np.where(slope < 0, np.minimum(right, zero), right)
        right = np.where((slope == 0) & (value < 0), -1.0, right)
    begin = np.ceil(left - 0.5 - 1e-7).astype(np.int32)
    count = np.maximum(np.floor(right - 0.5 + 1e-7).astype(np.int32) - begin + 1, 0)
    row, offset = _expand(count)
    return owner[row], begin[row] + offset, y[row]


def _expand(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For counts (2, 3): owners (0, 0, 1, 1, 1) and offsets (0, 1, 0, 1, 2)."""
    owner = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    starts = (np.cumsum(counts) - counts).astype(np.int32)
    return owner, np.arange(len(owner), dtype=np.int32) - starts[owner]


def _nearest(pixel: np.ndarray, depth: np.ndarray, n_pixels: int) -> np.ndarray:
    """Indices of the nearest fragment of every covered pixel, by pixel."""
    nearest = np.full(n_pixels, np.inf, np.float32)
    np.minimum.at(nearest, pixel, depth)
    candidate = np.flatnonzero(depth == nearest[pixel])
    chosen = np.full(n_pixels, -1, np.int64)
    chosen[pixel[candidate]] = candidate
    return chosen[chosen >= 0]
