"""Between which depths the rays of an image can meet occupied voxels: what lies outside is not marched."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch

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


def depth_bounds(
    centres_m: Float[torch.Tensor, "V 3"],
    voxel_m: float,
    step_m: float,
    camera: Camera,
    T_world_head: Float[np.ndarray, "4 4"],
) -> DepthBounds:
    """Bounds that hold every voxel, by projecting the voxels' centres.

    Near bounds lie on whole steps, so that samples of neighbouring rays lie on the same sheets.
    """
    T_camera_head = centres_m.new_tensor(camera.T_camera_world @ T_world_head)
    seen = centres_m @ T_camera_head[:3, :3].T + T_camera_head[:3, 3]
    seen = seen[seen[:, 2] > 2.0 * voxel_m]
    reach = 0.5 * math.sqrt(3.0) * voxel_m
    closest = float(seen[:, 2].min()) if len(seen) else 1.0
    cell_px = max(2, math.ceil(reach * camera.focal_px / max(closest - reach, reach)))
    rows, columns = math.ceil(camera.height / cell_px) + 2, math.ceil(camera.width / cell_px) + 2
    centre = seen.new_tensor([camera.cx_px, camera.cy_px])
    place = torch.floor((seen[:, :2] / seen[:, 2:] * camera.focal_px + centre) / cell_px).long() + 1
    inside = (place >= 0).all(1) & (place[:, 0] < columns) & (place[:, 1] < rows)
    flat = (place[:, 1] * columns + place[:, 0])[inside]
    depth = seen[inside, 2]
    far = torch.full((rows * columns,), -1.0, device=seen.device).scatter_reduce(0, flat, depth, "amax")
    near = torch.full((rows * columns,), 1e6, device=seen.device).scatter_reduce(0, flat, depth, "amin")
    far = torch.nn.functional.max_pool2d(far.reshape(1, 1, rows, columns), 3, 1)[0, 0]
    near = -torch.nn.functional.max_pool2d(-near.reshape(1, 1, rows, columns), 3, 1)[0, 0]
    near = torch.floor((near - reach) / step_m).clamp_min(0.0) * step_m
    return DepthBounds(near, torch.where(far > 0, far + reach, torch.zeros_like(far)), cell_px)
