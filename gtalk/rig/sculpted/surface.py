"""The face mesh as a smooth sheet with holes: ways along the skin, interpolation from handles, transfer of shapes.

Eyes and mouth are holes, so the upper and the lower lip (or lid) are neighbours only around the corner:
what moves one does not drag the other along.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gtalk.geometry.rotation import align_similarity
from gtalk.shapes import Bool, Float, Int
from gtalk.topology import N_FACE, RIGID, SKIN_TRIANGLES

_HELD = 3.0  # how firmly a point stays that does not move on the source; the Laplacian's diagonal is about 4
_NEAR = 0.05  # how firmly the others stay near the merely scaled displacement: fixes what triangles leave free
_STILL = 1e-3  # of a shape's largest displacement
_TENSION = 100.0  # of a membrane in the bending sheet, in squared outer-eye distances: keeps it from swinging over
_LEAST_AREA = 1e-9
_MOST_COTANGENT = 20.0  # thin triangles at the rim of the mask would otherwise count like stiff wires


@dataclass(frozen=True)
class Surface:
    """The 468 points of the skin at rest, in any unit."""

    points: Float[np.ndarray, "468 3"]

    @cached_property
    def cotangents(self) -> Float[np.ndarray, "F 3"]:
        """Cotangent of the angle at each corner of SKIN_TRIANGLES."""
        corner = self.points[SKIN_TRIANGLES]
        out = np.empty(SKIN_TRIANGLES.shape)
        for k in range(3):
            a, b = corner[:, (k + 1) % 3] - corner[:, k], corner[:, (k + 2) % 3] - corner[:, k]
            area = np.linalg.norm(np.cross(a, b), axis=1)
            out[:, k] = (a * b).sum(1) / np.maximum(area, _LEAST_AREA)
        return np.clip(out, -_MOST_COTANGENT, _MOST_COTANGENT)

    @cached_property
    def laplacian(self) -> Float[np.ndarray, "468 468"]:
        """Cotangent Laplacian, positive semidefinite (Pinkall and Polthier 1993)."""
        out = np.zeros((N_FACE, N_FACE))
        for k in range(3):
            i, j = SKIN_TRIANGLES[:, (k + 1) % 3], SKIN_TRIANGLES[:, (k + 2) % 3]
            weight = 0.5 * self.cotangents[:, k]
            for a, b, sign in ((i, j, -1.0), (j, i, -1.0), (i, i, 1.0), (j, j, 1.0)):
                np.add.at(out, (a, b), sign * weight)
        return out

    @cached_property
    def areas(self) -> Float[np.ndarray, " 468"]:
        """A third of the triangles around each point."""
        corner = self.points[SKIN_TRIANGLES]
        area = 0.5 * np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1)
        out = np.zeros(N_FACE)
        np.add.at(out, SKIN_TRIANGLES, area[:, None] / 3.0)
        return np.maximum(out, out[out > 0].min())

    @cached_property
    def bending(self) -> Float[np.ndarray, "468 468"]:
        """Energy of a biharmonic sheet: L M^-1 L (Botsch and Kobbelt 2004)."""
        return self.laplacian @ (self.laplacian / self.areas[:, None])

    @cached_property
    def distances(self) -> Float[np.ndarray, "468 468"]:
        """Shortest ways along the edges of the mesh, around its holes (Floyd and Warshall)."""
        out = np.full((N_FACE, N_FACE), np.inf)
        np.fill_diagonal(out, 0.0)
        for k in range(3):
            i, j = SKIN_TRIANGLES[:, k], SKIN_TRIANGLES[:, (k + 1) % 3]
            out[i, j] = out[j, i] = np.linalg.norm(self.points[i] - self.points[j], axis=1)
        for via in range(N_FACE):
            np.minimum(out, out[:, via, None] + out[via], out=out)
        return out

    def within(self, handles: Int[np.ndarray, " H"], reach: Float[np.ndarray, " H"]) -> Bool[np.ndarray, " 468"]:
        """Points nearer to some handle, along the skin, than that handle reaches."""
        return (self.distances[handles] < np.maximum(reach, 1e-9)[:, None]).any(0)

    def spread(
        self,
        handles: Int[np.ndarray, " H"],
        values: Float[np.ndarray, "H C"],
        reach: Float[np.ndarray, " H"],
        taut: bool = False,
    ) -> Float[np.ndarray, "468 C"]:
        """Smooth field with the given values at handles and 0 from `reach` on (in the unit of the points).

        Args:
            taut: like a membrane (harmonic) instead of a bending sheet: less smooth, never beyond the given values.
        """
        out = np.zeros((N_FACE, values.shape[1]))
        out[handles] = values
        free = self.within(handles, reach)
        free[handles] = False
        if free.any():
            energy = (self.laplacian if taut else self.bending + _TENSION * self.laplacian)[free]
            out[free] = -np.linalg.solve(energy[:, free], energy[:, handles] @ values)
        return out


def transferred(
    source: Float[np.ndarray, "468 3"], shapes: Float[np.ndarray, "E 468 3"], target: Surface
) -> Float[np.ndarray, "E 468 3"]:
    """Displacements of `source` as displacements of `target`, in the target's frame and unit.

    Deformation transfer (Sumner and Popović 2004) in the form of Botsch et al. 2006: every triangle of the target
    is to deform as its source triangle does; the positions that come nearest, in least squares, follow from one
    Poisson system. So a smile follows the slope of *this* cheek, and its size that of this mouth.
    """
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
