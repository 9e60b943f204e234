"""What of the head the face's code may change: what lies near mesh points that it moves.

Codes are fitted to tracked landmarks, so they carry a little of each frame's error of head pose too. A field whose
codes reach everywhere learns to mend the whole head with them, and where the mouth comes from sound, hair and ears
then stand where no head was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from gtalk.avatar.expressing.warp import control_points
from gtalk.basis import MotionBasis
from gtalk.fit.radiance.occupancy import HeadVolume
from gtalk.fit.radiance.warp_init import MeshMotion
from gtalk.ops import GridSpec
from gtalk.shapes import Bool, Float, Int

MOVING_SHARE = 0.45  # of what the group's liveliest points (95th percentile) move: what moves less is noise
DEPTH_SCALE = 0.5  # distances along the face's axis count half: teeth and eyes lie behind the mesh
NEAREST = 0.9  # of a warp's cell: wherever a point lies, a control point is nearer (half the diagonal is 0.87)
PART = 20_000  # points at a time


@dataclass(frozen=True)
class Reach:
    """Where each component of the code has a say."""

    warp: Bool[np.ndarray, "K G G G"]
    """Control points of the warp [z, y, x]."""
    entries: Int[np.ndarray, " N"]
    """Entries of the coarse tables that any component may change, ascending."""
    codes: Bool[np.ndarray, "K N"]
    """Which of them each one may change."""


def face_reach(
    basis: MotionBasis,
    mesh: MeshMotion | None,
    volume: HeadVolume,
    spec: GridSpec,
    levels: int,
    cells: int,
    reach_m: float,
) -> Reach:
    """Within `reach_m` of what moves; everywhere, where there is no dense tracking or `reach_m` is 0.

    Mouth codes and those around the eyes have each their own reach. `levels`: the coarsest tables, which follow the
    code; `cells`: control points along the cube.
    """
    size, count = basis.size, spec.offsets[levels]
    if mesh is None or reach_m <= 0.0:
        return Reach(np.ones((size, cells, cells, cells), bool), np.arange(count), np.ones((size, count), bool))
    warp, tables = np.zeros((size, cells**3), bool), np.zeros((size, count), bool)
    control = volume.origin_m + control_points(cells) * volume.extent_m
    mouth = basis.groups["mouth"]
    groups = [(group, _moving(mesh, group)) for group in (mouth, slice(mouth.stop, size))]
    for group, moving_m in groups:
        warp[group] = within(control, moving_m, max(reach_m, NEAREST * volume.extent_m / (cells - 1)))
    for level in range(levels):
        unit, entry = _vertices(spec, level, volume)
        for group, moving_m in groups:
            near = within(volume.origin_m + unit * volume.extent_m, moving_m, reach_m)
            tables[group, spec.offsets[level] + entry[near]] = True
    entries = np.flatnonzero(tables.any(0))
    return Reach(warp.reshape(size, cells, cells, cells), entries, tables[:, entries])


def within(
    points_m: Float[np.ndarray, "N 3"], centres_m: Float[np.ndarray, "P 3"], reach_m: float
) -> Bool[np.ndarray, " N"]:
    """Which points lie within `reach_m` of a centre."""
    scale = np.array([1.0, 1.0, DEPTH_SCALE])
    points, centres = points_m * scale, centres_m * scale
    near = np.zeros(len(points), bool)
    if not len(centres):
        return near
    boxed = ((points >= centres.min(0) - reach_m) & (points <= centres.max(0) + reach_m)).all(1)
    candidates = np.flatnonzero(boxed)
    for part in np.array_split(candidates, len(candidates) // PART + 1):
        squared = ((points[part, None] - centres) ** 2).sum(-1)
        near[part] = (squared < reach_m**2).any(1)
    return near


def _moving(mesh: MeshMotion, group: slice) -> Float[np.ndarray, "P 3"]:
    """Mesh points that a group of codes moves."""
    moved = np.sqrt((mesh.moved_m[group] ** 2).sum((0, 2)))
    return mesh.mean_m[moved > max(MOVING_SHARE * float(np.percentile(moved, 95)), 1e-9)]


def _vertices(spec: GridSpec, level: int, volume: HeadVolume) -> tuple[np.ndarray, np.ndarray]:
    """A level's vertices beside occupied voxels: places in the unit cube [N,3], entries within the level [N]."""
    axis = np.arange(spec.side(level))
    vertex = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    unit = spec.vertex_places(level, vertex)
    cells = len(volume.occupied)
    solid = torch.from_numpy(volume.occupied.astype(np.float32))[None, None]
    grown = torch.nn.functional.max_pool3d(solid, 3, 1, 1)[0, 0].numpy() > 0
    x, y, z = np.clip((unit * cells).astype(int), 0, cells - 1).T
    beside = grown[x, y, z]
    return unit[beside], spec.vertex_entries(level, vertex[beside])
