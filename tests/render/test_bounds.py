"""Depth bounds: no sample is lost, little is marched in vain."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from gtalk.ops import march
from gtalk.render.bounds import depth_bounds, voxel_centres
from gtalk.render.field import UNIT_CUBE
from gtalk.render.rays import pixel_centres, rays_in
from gtalk.types import Camera

CORNER, EXTENT, SIZE, STEP = (-0.12, -0.13, -0.1), 0.25, 20, 0.01


def ball() -> torch.Tensor:
    axis = (torch.arange(SIZE) + 0.5) / SIZE - 0.5
    x, y, z = torch.meshgrid(axis, axis, axis, indexing="ij")
    shell = (x**2 + y**2 + z**2).sqrt()
    return ((shell < 0.4) & (shell > 0.25)).to(torch.uint8)


@pytest.mark.parametrize("focal_px", [60.0, 150.0, 400.0])
@pytest.mark.parametrize("yaw", [0.0, 0.7])
def test_marching_within_bounds_finds_every_sample(focal_px: float, yaw: float) -> None:
    camera = Camera(focal_px, 34.0, 22.0, 64, 48)
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(np.array([0.1, yaw, 0.05]))[0]
    pose[:3, 3] = [0.02, -0.01, -0.8]
    occupied = ball()
    bounds = depth_bounds(voxel_centres(occupied, CORNER, EXTENT), EXTENT / SIZE, STEP, camera, pose)
    points_px = pixel_centres(camera)
    near, far = bounds.at(points_px)
    origin, directions = rays_in(camera, pose, points_px)
    origins = ((origin - torch.tensor(CORNER)) / EXTENT).expand_as(directions).contiguous()
    directions = directions / EXTENT
    everywhere = march(
        origins, directions, torch.zeros(len(near)), torch.full_like(far, 2.0), occupied, UNIT_CUBE, STEP, 200
    )
    bounded = march(origins, directions, near, far, occupied, UNIT_CUBE, STEP, 200)
    assert len(everywhere[0]) > 500
    assert torch.equal(everywhere[2], bounded[2])
    assert torch.allclose(everywhere[0], bounded[0], atol=1e-5)
    marched = float(((far - near) / STEP).sum())
    assert marched < 6.0 * len(everywhere[0]) + 4000


def test_nothing_occupied_means_nothing_to_march() -> None:
    camera = Camera(100.0, 8.0, 8.0, 16, 16)
    pose = np.eye(4)
    pose[2, 3] = -1.0
    centres = voxel_centres(torch.zeros(4, 4, 4, dtype=torch.uint8), CORNER, EXTENT)
    near, far = depth_bounds(centres, 0.1, 0.01, camera, pose).at(pixel_centres(camera))
    assert centres.shape == (0, 3) and torch.equal(near, far)


def test_voxel_centres_are_where_the_volume_says() -> None:
    occupied = torch.zeros(4, 4, 4, dtype=torch.uint8)
    occupied[1, 2, 3] = 1
    assert voxel_centres(occupied, (0.0, 1.0, 2.0), 0.4)[0].tolist() == pytest.approx([0.15, 1.25, 2.35])
