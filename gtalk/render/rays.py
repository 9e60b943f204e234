"""Rays through pixels, in whichever frame, and similarities of the image plane. Pure functions."""

from __future__ import annotations

import numpy as np
import torch

from gtalk.compute.device import sent
from gtalk.shapes import Float
from gtalk.types import Camera


def pixel_centres(camera: Camera, device: torch.device | str = "cpu") -> Float[torch.Tensor, "N 2"]:
    """Pixel coordinates of all pixels' centres, row by row: N = height * width."""
    y, x = torch.meshgrid(
        torch.arange(camera.height, device=device, dtype=torch.float32) + 0.5,
        torch.arange(camera.width, device=device, dtype=torch.float32) + 0.5,
        indexing="ij",
    )
    return torch.stack([x, y], -1).reshape(-1, 2)


def rays_in(
    camera: Camera, T_world_frame: Float[np.ndarray, "4 4"], points_px: Float[torch.Tensor, "N 2"]
) -> tuple[Float[torch.Tensor, " 3"], Float[torch.Tensor, "N 3"]]:
    """Origin and directions of the rays through pixels, in the frame that T_world_frame places in the world.

    Directions have unit length along the camera's axis, so origin + depth * direction is the point at
    that depth.
    """
    T_camera_frame = camera.T_camera_world @ T_world_frame
    T_frame_camera = np.eye(4)
    T_frame_camera[:3, :3] = T_camera_frame[:3, :3].T
    T_frame_camera[:3, 3] = -T_camera_frame[:3, :3].T @ T_camera_frame[:3, 3]
    placed = sent(T_frame_camera[:3], points_px.device, torch.float32)
    rotation, origin = placed[:, :3], placed[:, 3]
    centre = sent([camera.cx_px, camera.cy_px], points_px)
    flat = (points_px - centre) / camera.focal_px
    directions = flat @ rotation[:, :2].T + rotation[:, 2]
    return origin, directions


def onto_plane(
    camera: Camera, reference: Camera, depth_m: float, points_px: Float[torch.Tensor, "N 2"]
) -> Float[torch.Tensor, "N 2"]:
    """Where `reference` sees what `camera` sees on the plane at `depth_m` in front of `reference`.

    Points in image heights of `reference`, (0, 0) its top-left corner; what lies on the reference
    camera's own image does not move when the cameras agree. Rays that miss the plane give 1e3.
    """
    origin, directions = rays_in(camera, np.linalg.inv(reference.T_camera_world), points_px)
    distance = (depth_m - origin[2]) / torch.where(directions[:, 2].abs() < 1e-6, 1e-6, directions[:, 2])
    point = origin + distance[:, None] * directions
    centre = sent([reference.cx_px, reference.cy_px], points_px)
    seen = (point[:, :2] / depth_m * reference.focal_px + centre) / reference.height
    return torch.where((distance > 0)[:, None], seen, torch.full_like(seen, 1e3))
