"""Between which depths the rays of an image can meet occupied voxels: what lies outside is not marched."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch

from gtalk.compute.device import sent
from gtalk.shapes import Float, UInt8
from gtalk.types import Camera


class DepthBounds(NamedTuple):
    """Depth ranges on a coarse grid of image cells; far is below near where nothing can be met."""

    near_m: Float[torch.Tensor, "h w"]
    far_m: Float[torch.Tensor, "h w"]
    cell_px: int

    def at(self, points_px: Float[torch.Tensor, "N 2"]) -> tuple[torch.Tensor, torch.Tensor]:
        """(near, far) of the rays through some pixels, far >= near; equal where nothing can be met."""
        place = torch.floor(points_px / self.cell_px).long()
        row = place[:, 1].clamp(0, self.near_m.shape[0] - 1)
        column = place[:, 0].clamp(0, self.near_m.shape[1] - 1)
        near, far = self.near_m[row, column], self.far_m[row, column]
        return near, torch.maximum(near, far)


def voxel_centres(
    occupied: UInt8[torch.Tensor, "R R R"], origin_m: tuple[float, float, float], extent_m: float
) -> Float[torch.Tensor, "V 3"]:
    """Centres of the occupied voxels, head space, metres."""
    cells = occupied.nonzero().to(torch.float32) + 0.5
    return cells * (extent_m / occupied.shape[0]) + cells.new_tensor(origin_m)


def outermost(
    occupied: UInt8[torch.Tensor, "R R R"], origin_m: tuple[float, float, float], extent_m: float
) -> Float[np.ndarray, "P 3"]:
    """Those of the voxel centres that end their lines along all three axes: the corners of the hull are among them."""
    grid = occupied.cpu().numpy() > 0
    ends = grid.copy()
    for axis in range(3):
        before = np.cumsum(grid, axis)
        ends &= (before == 1) | (before == before.max(axis, keepdims=True))
    return (np.argwhere(ends) + 0.5) * (extent_m / len(grid)) + np.array(origin_m)


def cell_size(
    outermost_m: Float[np.ndarray, "P 3"], voxel_m: float, camera: Camera, T_world_head: Float[np.ndarray, "4 4"]
) -> int:
    """Pixels of a cell of the bounds' grid: no voxel is seen larger. Known on the host, since it is a tensor's size."""
    T_camera_head = camera.T_camera_world @ T_world_head
    depth = outermost_m @ T_camera_head[2, :3] + T_camera_head[2, 3]
    closest = max(float(depth.min()), 2.0 * voxel_m) if len(depth) else 1.0
    reach = 0.5 * math.sqrt(3.0) * voxel_m
    return max(2, math.ceil(reach * camera.focal_px / max(closest - reach, reach)))


def depth_bounds(
    centres_m: Float[torch.Tensor, "V 3"],
    cell_px: int,
    voxel_m: float,
    step_m: float,
    camera: Camera,
    T_camera_head: Float[torch.Tensor, "3 4"],
) -> DepthBounds:
    """Bounds that hold every voxel, by projecting the voxels' centres. `cell_px`: at least `cell_size`.

    Near bounds lie on whole steps, so that samples of neighbouring rays lie on the same sheets.
    """
    seen = centres_m @ T_camera_head[:, :3].T + T_camera_head[:, 3]
    reach = 0.5 * math.sqrt(3.0) * voxel_m
    rows, columns = math.ceil(camera.height / cell_px) + 2, math.ceil(camera.width / cell_px) + 2
    centre = sent([camera.cx_px, camera.cy_px], seen)
    place = torch.floor((seen[:, :2] / seen[:, 2:] * camera.focal_px + centre) / cell_px) + 1
    inside = (seen[:, 2] > 2.0 * voxel_m) & (place >= 0).all(1) & (place[:, 0] < columns) & (place[:, 1] < rows)
    flat = torch.where(inside, place[:, 1] * columns + place[:, 0], rows * columns).long()  # one cell more for the rest
    depth = seen[:, 2]
    far = torch.full((rows * columns + 1,), -1.0, device=seen.device).scatter_reduce(0, flat, depth, "amax")[:-1]
    near = torch.full((rows * columns + 1,), 1e6, device=seen.device).scatter_reduce(0, flat, depth, "amin")[:-1]
    far = torch.nn.functional.max_pool2d(far.reshape(1, 1, rows, columns), 3, 1)[0, 0]
    near = -torch.nn.functional.max_pool2d(-near.reshape(1, 1, rows, columns), 3, 1)[0, 0]
    near = torch.floor((near - reach) / step_m).clamp_min(0.0) * step_m
    return DepthBounds(near, torch.where(far > 0, far + reach, torch.zeros_like(far)), cell_px)
