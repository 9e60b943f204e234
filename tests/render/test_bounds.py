"""Depth bounds: no sample is lost, little is marched in vain."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from gtalk.ops import march
from gtalk.render.bounds import DepthBounds, cell_size, depth_bounds, outermost, voxel_centres
from gtalk.render.field import UNIT_CUBE
from gtalk.render.rays import pixel_centres, rays_in
from gtalk.types import Camera

CORNER, EXTENT, SIZE, STEP = (-0.12, -0.13, -0.1), 0.25, 20, 0.01


def ball() -> torch.Tensor:
    axis = (torch.arange(SIZE) + 0.5) / SIZE - 0.5
    x, y, z = torch.meshgrid(axis, axis, axis, indexing="ij")
    shell = (x**2 + y**2 + z**2).sqrt()
    return ((shell < 0.4) & (shell > 0.25)).to(torch.uint8)


def bounds_of(occupied: torch.Tensor, camera: Camera, pose: np.ndarray) -> DepthBounds:
    voxel_m = EXTENT / len(occupied)
    cell_px = cell_size(outermost(occupied, CORNER, EXTENT), voxel_m, camera, pose)
    T_camera_head = torch.from_numpy((camera.T_camera_world @ pose)[:3]).float()
    return depth_bounds(voxel_centres(occupied, CORNER, EXTENT), cell_px, voxel_m, STEP, camera, T_camera_head)


@pytest.mark.parametrize("focal_px", [60.0, 150.0, 400.0])
@pytest.mark.parametrize("yaw", [0.0, 0.7])
def test_marching_within_bounds_finds_every_sample(focal_px: float, yaw: float) -> None:
    camera = Camera(focal_px, 34.0, 22.0, 64, 48)
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(np.array([0.1, yaw, 0.05]))[0]
    pose[:3, 3] = [0.02, -0.01, -0.8]
    occupied = ball()
    bounds = bounds_of(occupied, camera, pose)
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
    empty = torch.zeros(4, 4, 4, dtype=torch.uint8)
    near, far = bounds_of(empty, camera, pose).at(pixel_centres(camera))
    assert voxel_centres(empty, CORNER, EXTENT).shape == (0, 3) and torch.equal(near, far)


def test_the_closest_voxel_is_among_the_outermost() -> None:
    rng = np.random.default_rng(0)
    occupied = torch.from_numpy((rng.random((9, 9, 9)) < 0.3).astype(np.uint8))
    corners, centres = outermost(occupied, CORNER, EXTENT), voxel_centres(occupied, CORNER, EXTENT).numpy()
    assert len(corners) < 0.5 * len(centres)
    for direction in rng.normal(size=(50, 3)):
        assert (corners @ direction).min() == pytest.approx((centres @ direction).min(), abs=1e-6)


def test_a_camera_within_the_head_sees_what_lies_before_it() -> None:
    camera = Camera(60.0, 16.0, 16.0, 32, 32)
    pose = np.eye(4)
    pose[2, 3] = -0.02  # the camera is inside of the ball
    bounds = bounds_of(ball(), camera, pose)
    near, far = bounds.at(pixel_centres(camera))
    assert bounds.cell_px < 64 and bool((far > near).any()) and bool(far.isfinite().all())


def test_voxel_centres_are_where_the_volume_says() -> None:
    occupied = torch.zeros(4, 4, 4, dtype=torch.uint8)
    occupied[1, 2, 3] = 1
    assert voxel_centres(occupied, (0.0, 1.0, 2.0), 0.4)[0].tolist() == pytest.approx([0.15, 1.25, 2.35])
