"""Meshes: Loop subdivision as a sparse matrix, normals, harmonic weights, surfaces over a grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve

Sparse = Any
"""A scipy sparse matrix in CSR form; scipy's own annotations cannot say so."""


@dataclass(frozen=True)
class Mesh:
    """One surface. Triangles run counter-clockwise seen from outside."""

    points: np.ndarray
    """[V,3] metres."""
    triangles: np.ndarray
    """[F,3]."""
    uv: np.ndarray
    """[V,2] place in the texture atlas, 0 to 1."""
    label: np.ndarray
    """[F] MaskClass."""

    def normal_matrix(self) -> Sparse:
        """[V,F] sums what faces give to their vertices."""
        return incidence(self.triangles, len(self.points))


def incidence(triangles: np.ndarray, n_points: int) -> Sparse:
    """[V,F], one where a vertex belongs to a face."""
    column = np.repeat(np.arange(len(triangles)), 3)
    return sparse.csr_matrix(
        (np.ones(len(column), np.float32), (triangles.ravel(), column)), (n_points, len(triangles))
    )


def vertex_normals(points: np.ndarray, triangles: np.ndarray, gather: Sparse) -> np.ndarray:
    """[V,3] area-weighted unit normals."""
    a, b, c = (points[triangles[:, k]] for k in range(3))
    normals = gather @ np.cross(b - a, c - a)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def _edges(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges [E,2] sorted, edge of every triangle side [F,3] (side k faces corner k), faces per edge [E]."""
    sides = np.stack([triangles[:, [1, 2]], triangles[:, [2, 0]], triangles[:, [0, 1]]], axis=1)
    sides = np.sort(sides, axis=2)
    edges, index, count = np.unique(sides.reshape(-1, 2), axis=0, return_inverse=True, return_counts=True)
    return edges, index.reshape(-1, 3), count


def loop_subdivide(triangles: np.ndarray, n_points: int) -> tuple[Sparse, np.ndarray]:
    """One step of Loop's scheme (C. Loop, 1987; Warren's vertex weights; B-spline borders).

    Returns the matrix [V2,V] and the triangles [4F,3]; old vertices stay first.
    """
    edges, side, count = _edges(triangles)
    n_edges = len(edges)
    inner = count == 2
    ends = np.where(inner, 3 / 8, 1 / 2)
    rows = [np.repeat(np.arange(n_edges), 2)]
    columns = [edges.ravel()]
    values = [np.repeat(ends, 2)]
    rows.append(side.ravel())
    columns.append(triangles.ravel())
    values.append(np.where(inner, 1 / 8, 0.0)[side.ravel()])
    odd = sparse.csr_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (n_edges, n_points)
    )
    even = _even_rule(edges, count, n_points)
    middle = side + n_points
    a, b, c = triangles.T
    ma, mb, mc = middle.T
    fine = np.concatenate([np.stack(t, axis=1) for t in ((a, mc, mb), (mc, b, ma), (mb, ma, c), (ma, mb, mc))])
    order = np.arange(len(fine)).reshape(4, -1).T.ravel()  # children of one face stay together
    return sparse.vstack([even, odd]).tocsr(), fine[order]


def _even_rule(edges: np.ndarray, count: np.ndarray, n_points: int) -> Sparse:
    border = edges[count == 1]
    on_border = np.zeros(n_points, bool)
    on_border[border.ravel()] = True
    links = np.concatenate([edges, edges[:, ::-1]])
    links = links[~on_border[links[:, 0]]]
    valence = np.bincount(links[:, 0], minlength=n_points).astype(float)
    beta = np.where(valence == 3, 3 / 16, 3 / (8 * np.maximum(valence, 1)))
    border_links = np.concatenate([border, border[:, ::-1]])
    own = np.where(on_border, 3 / 4, 1 - valence * beta)
    own[(valence == 0) & ~on_border] = 1
    rows = np.concatenate([np.arange(n_points), links[:, 0], border_links[:, 0]])
    columns = np.concatenate([np.arange(n_points), links[:, 1], border_links[:, 1]])
    values = np.concatenate([own, beta[links[:, 0]], np.full(len(border_links), 1 / 8)])
    return sparse.csr_matrix((values, (rows, columns)), (n_points, n_points))


def harmonic(triangles: np.ndarray, n_points: int, fixed: dict[int, float], power: int = 1) -> np.ndarray:
    """[V] weights that are as smooth as they can be (graph Laplacian, or its square) given fixed ones."""
    edges, _, _ = _edges(triangles)
    links = np.concatenate([edges, edges[:, ::-1]])
    adjacency = sparse.csr_matrix((np.ones(len(links)), (links[:, 0], links[:, 1])), (n_points, n_points))
    degree = np.asarray(adjacency.sum(1)).ravel()
    laplacian = sparse.diags(np.ones(n_points)) - sparse.diags(1 / np.maximum(degree, 1)) @ adjacency
    system = laplacian if power == 1 else laplacian.T @ laplacian
    known = np.array(sorted(fixed))
    free = np.setdiff1d(np.flatnonzero(degree > 0), known)
    result = np.zeros(n_points)
    result[known] = [fixed[k] for k in known]
    system = system.tocsr()
    result[free] = spsolve(system[free][:, free].tocsc(), -(system[free] @ result))
    return result


def grid_triangles(rows: int, columns: int, *, wrap: bool = False) -> np.ndarray:
    """Triangles of a grid of rows x columns vertices; counter-clockwise when columns run right and rows down."""
    across = columns if wrap else columns - 1
    r, c = np.mgrid[: rows - 1, :across]
    a = (r * columns + c).ravel()
    b = (r * columns + (c + 1) % columns).ravel()
    d, e = a + columns, b + columns
    return np.stack([np.stack([a, d, b], 1), np.stack([b, d, e], 1)], axis=1).reshape(-1, 3)
