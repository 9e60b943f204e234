"""The face mesh as a surface: nearest points, normals, and how a displacement of its points turns and stretches it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gtalk.shapes import Float, Int, Shaped

_CANDIDATES = 16  # triangles, by their centres, among which the nearest is looked for


class Footpoints(NamedTuple):
    """The nearest points of a surface."""

    triangle: Int[np.ndarray, " N"]
    weights: Float[np.ndarray, "N 3"]
    """Barycentric."""
    distance_m: Float[np.ndarray, " N"]


def footpoints(points: Float[np.ndarray, "N 3"], corners: Float[np.ndarray, "M 3 3"]) -> Footpoints:
    """Nearest points of triangles: inside the triangle where the foot of the perpendicular is, else on an edge."""
    parts = [_footpoints(points[i : i + 2048], corners) for i in range(0, len(points), 2048)]
    if not parts:
        return Footpoints(np.zeros(0, np.int64), np.zeros((0, 3)), np.zeros(0))
    return Footpoints(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _footpoints(points: np.ndarray, corners: np.ndarray) -> Footpoints:
    centres = corners.mean(1)
    reach = np.linalg.norm(corners - centres[:, None], axis=-1).max(1)
    near = np.linalg.norm(points[:, None] - centres[None], axis=-1) - reach
    count = min(_CANDIDATES, len(corners))
    chosen = np.argpartition(near, count - 1, axis=1)[:, :count]
    a, b, c = (corners[chosen, i] for i in range(3))
    p = points[:, None]
    options = [_on_face(p, a, b, c), *(_on_edge(p, a, b, c, i) for i in range(3))]
    weights = np.stack(options, 2)  # [n, candidates, 4, 3]
    weights = weights.reshape(len(points), -1, 3)
    tripled = np.repeat(chosen, 4, axis=1)
    feet = (weights[..., None] * corners[tripled]).sum(2)
    distance = np.linalg.norm(points[:, None] - feet, axis=-1)
    distance = np.where((weights >= -1e-9).all(-1), distance, np.inf)
    best = distance.argmin(1)
    rows = np.arange(len(points))
    return Footpoints(tripled[rows, best], np.clip(weights[rows, best], 0.0, 1.0), distance[rows, best])


def _on_face(p: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    u, v, w = b - a, c - a, p - a
    uu, uv, vv = (u * u).sum(-1), (u * v).sum(-1), (v * v).sum(-1)
    wu, wv = (w * u).sum(-1), (w * v).sum(-1)
    size = np.maximum(uu * vv - uv * uv, 1e-18)
    s, t = (vv * wu - uv * wv) / size, (uu * wv - uv * wu) / size
    return np.stack([1.0 - s - t, s, t], -1)


def _on_edge(p: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray, edge: int) -> np.ndarray:
    start, end = ((a, b), (b, c), (c, a))[edge]
    along = end - start
    t = np.clip(((p - start) * along).sum(-1) / np.maximum((along * along).sum(-1), 1e-18), 0.0, 1.0)
    weights = np.zeros((*t.shape, 3))
    weights[..., edge], weights[..., (edge + 1) % 3] = 1.0 - t, t
    return weights


def vertex_normals(
    points: Float[np.ndarray, "*B P 3"], triangles: Int[np.ndarray, "M 3"]
) -> Float[np.ndarray, "*B P 3"]:
    """Unit normals at the points, each triangle counting by its area."""
    a, b, c = (points[..., triangles[:, i], :] for i in range(3))
    return _unit(_gathered(np.cross(b - a, c - a), triangles, points.shape[-2]))


def vertex_gradients(
    rest: Float[np.ndarray, "P 3"], moved: Float[np.ndarray, "*B P 3"], triangles: Int[np.ndarray, "M 3"]
) -> Float[np.ndarray, "*B P 3 3"]:
    """The displacement's gradient at the points: F - I, where F takes tangents and normal at rest to the moved ones.

    Per triangle F = [e1' e2' n'] [e1 e2 n]^-1 (Sumner and Popovic 2004, "Deformation transfer for triangle
    meshes"), with unit normals so that nothing swells across the surface; a point has its triangles' mean by area.
    """
    before = _frames(rest, triangles)
    gradient = _frames(moved, triangles) @ np.linalg.inv(before) - np.eye(3)
    area = np.linalg.norm(np.cross(before[..., 0], before[..., 1]), axis=-1)
    flat = gradient.reshape(*gradient.shape[:-2], 9) * area[:, None]
    total = _gathered(flat, triangles, len(rest))
    share = _gathered(area[:, None], triangles, len(rest))
    return (total / np.maximum(share, 1e-18)).reshape(*moved.shape[:-1], 3, 3)


def _frames(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = (points[..., triangles[:, i], :] for i in range(3))
    return np.stack([b - a, c - a, _unit(np.cross(b - a, c - a))], -1)


def _gathered(values: Shaped[np.ndarray, "..."], triangles: np.ndarray, n_points: int) -> np.ndarray:
    """Sums over the triangles of each point."""
    touches = np.zeros((n_points, len(triangles)), values.dtype)
    for corner in range(3):
        touches[triangles[:, corner], np.arange(len(triangles))] += 1.0
    return touches @ values


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-18)
