"""Expressions in a radiance field: the displacement of the mesh, spread over the warp's control points.

A point of the face that an expression has moved is looked up where it was before. The person's own codes do what the
clip has shown, as on Gaussians; a warp cannot part lips that touch, so what parts them is left to the codes.
"""

from __future__ import annotations

import numpy as np
import torch

from gtalk.avatar.expressing.codes import Asked, Division
from gtalk.shapes import Float
from gtalk.topology import N_FACE

KERNEL_M = 0.012  # reach of a mesh point
RIDGE = 0.05
STILL = 0.3  # weight of "does not move", against the mesh points' kernels


def control_points(cells: int) -> Float[np.ndarray, "N 3"]:
    """Of a warp in the unit cube, in the order of its tensor [z, y, x]."""
    axis = np.linspace(0.0, 1.0, cells)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    return np.stack([x, y, z], -1).reshape(-1, 3)


def _interpolation(unit: Float[np.ndarray, "P 3"], cells: int) -> Float[np.ndarray, "P N"]:
    """Trilinear weights of the control points at points of the unit cube."""
    x = np.clip(unit, 0.0, 1.0) * (cells - 1)
    first = np.minimum(x.astype(np.int64), cells - 2)
    part, out = x - first, np.zeros((len(unit), cells**3))
    for corner in np.ndindex(2, 2, 2):
        i, j, k = (first + corner).T
        share = np.where(corner, part, 1.0 - part).prod(1)
        out[np.arange(len(unit)), (k * cells + j) * cells + i] += share
    return out


class WarpExpression:
    """Displacements of a warp's control points, for one of each coefficient."""

    def __init__(self, division: Division, origin_m: Float[np.ndarray, "3"], extent_m: float, cells: int) -> None:
        """`origin_m`, `extent_m`: of the cube that the warp fills, head space."""
        mesh, fields = division.rig.mean[:N_FACE], division.fields[:, :N_FACE]
        control = origin_m + control_points(cells) * extent_m
        squared = (control**2).sum(1)[:, None] + (mesh**2).sum(1) - 2.0 * control @ mesh.T
        kernel = np.exp(-squared / (2.0 * KERNEL_M**2))
        weights = kernel / (kernel.sum(1, keepdims=True) + STILL)
        smooth = -np.einsum("np,cpd->cnd", weights, fields) / extent_m
        at = _interpolation((mesh - origin_m) / extent_m, cells)
        gram = at @ at.T + RIDGE * np.eye(len(at))
        missed = -fields / extent_m - at @ smooth  # what smoothing took from the mesh's points is given back
        moved = smooth + at.T @ np.linalg.solve(gram, missed)
        shape = (len(fields), 3, cells, cells, cells)
        self._columns = torch.from_numpy(moved.transpose(0, 2, 1).reshape(shape).astype(np.float32))

    def warp(self, asked: Asked) -> Float[torch.Tensor, "3 G G G"]:
        """What an expression adds to the warp, in units of the cube."""
        used = np.flatnonzero(asked.coefs)
        return torch.tensordot(torch.from_numpy(asked.coefs[used]), self._columns[used], dims=1)
