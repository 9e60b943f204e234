"""The face mesh as a smooth sheet with holes: distances along the skin, and smooth interpolation from handles.

Eyes and mouth are holes, so the upper and the lower lip (or lid) are neighbours only around the corner:
what moves one does not drag the other along.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gtalk.shapes import Bool, Float, Int
from gtalk.topology import N_FACE, SKIN_TRIANGLES

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
