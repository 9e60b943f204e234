"""Shapes carried from the face they were sculpted on to another face.

Deformation transfer (Sumner and Popović 2004) in the form of Botsch et al. 2006: every triangle of the target
is to deform as its source triangle does; the positions that come nearest, in least squares, follow from one
Poisson system. So a smile follows the slope of *this* cheek, and its size that of this mouth.
"""

from __future__ import annotations

import numpy as np

from gtalk.geometry.rotation import align_similarity
from gtalk.rig.surface import Surface
from gtalk.shapes import Float
from gtalk.topology import N_FACE, RIGID, SKIN_TRIANGLES

_HELD = 3.0  # how firmly a point stays that does not move on the source; the Laplacian's diagonal is about 4
_NEAR = 0.05  # how firmly the others stay near the merely scaled displacement: fixes what triangles leave free
_STILL = 1e-3  # of a shape's largest displacement


def transferred(
    source: Float[np.ndarray, "468 3"], shapes: Float[np.ndarray, "E 468 3"], target: Surface
) -> Float[np.ndarray, "E 468 3"]:
    """Displacements of `source` as displacements of `target`, in the target's frame and unit."""
    scale, rotation, shift = align_similarity(source[None, RIGID], target.points[RIGID], np.ones(len(RIGID)))
    near = scale[0] * source @ rotation[0].T + shift[0]
    scaled = scale[0] * shapes @ rotation[0].T
    change = _gradients(near, scaled)  # [E,F,3,3] F - I
    out = np.empty_like(scaled)
    corner = target.points[SKIN_TRIANGLES]
    for e, (field, gradient) in enumerate(zip(scaled, change, strict=True)):
        size = np.linalg.norm(field, axis=1)
        hold = np.where(size < _STILL * max(size.max(), 1e-12), _HELD, _NEAR)
        right = hold[:, None] * field
        for k in range(3):
            i, j = SKIN_TRIANGLES[:, (k + 1) % 3], SKIN_TRIANGLES[:, (k + 2) % 3]
            edge = corner[:, (k + 1) % 3] - corner[:, (k + 2) % 3]
            pull = 0.5 * target.cotangents[:, k, None] * np.einsum("fab,fb->fa", gradient, edge)
            np.add.at(right, i, pull)
            np.add.at(right, j, -pull)
        out[e] = np.linalg.solve(target.laplacian + np.diag(hold), right)
    return out


def _gradients(points: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """[E,F,3,3] deformation gradient minus identity of every triangle, its normal turning along."""
    rest = _frames(points[SKIN_TRIANGLES])
    inverse = np.linalg.inv(rest)
    return np.stack([_frames((points + field)[SKIN_TRIANGLES]) @ inverse for field in shapes]) - np.eye(3)


def _frames(corner: np.ndarray) -> np.ndarray:
    """[F,3,3] two edges and a normal as columns; the normal scales with the root of the area."""
    a, b = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    normal = np.cross(a, b)
    normal /= np.sqrt(np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12))
    return np.stack([a, b, normal], axis=-1)


assert SKIN_TRIANGLES.max() < N_FACE
