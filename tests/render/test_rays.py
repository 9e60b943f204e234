"""Rays, the torso's plane, similarities and the plate's framing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gtalk.render.image import framed_plate, over
from gtalk.render.rays import onto_plane, pixel_centres, rays_in
from gtalk.types import Camera

CAMERA = Camera(150.0, 33.0, 23.0, 64, 48)


def pose(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    T = np.eye(4)
    T[:3, :3] = cv2.Rodrigues(rng.normal(size=3) * 0.3)[0]
    T[:3, 3] = [*rng.normal(size=2) * 0.05, -0.7]
    return T


def test_pixel_centres_are_row_by_row_at_halves() -> None:
    points = pixel_centres(CAMERA)
    assert points.shape == (64 * 48, 2)
    assert points[0].tolist() == [0.5, 0.5] and points[65].tolist() == [1.5, 1.5]


@given(st.integers(0, 50), st.floats(0.3, 1.5))
def test_points_on_rays_project_back_to_their_pixels(seed: int, depth: float) -> None:
    T_world_head = pose(seed)
    points_px = pixel_centres(CAMERA)[::97]
    origin, directions = rays_in(CAMERA, T_world_head, points_px)
    in_head = (origin + depth * directions).double().numpy()
    in_world = in_head @ T_world_head[:3, :3].T + T_world_head[:3, 3]
    assert np.allclose(CAMERA.project(in_world), points_px.numpy(), atol=1e-3)
    along = (in_world @ CAMERA.T_camera_world[:3, :3].T)[:, 2]
    assert np.allclose(along, depth, atol=1e-5)


def test_a_camera_sees_its_own_plane_where_its_pixels_are() -> None:
    points_px = pixel_centres(CAMERA)
    assert torch.allclose(onto_plane(CAMERA, CAMERA, 0.7, points_px), points_px / 48, atol=1e-5)


def test_another_camera_sees_the_plane_as_projection_says() -> None:
    T_world_moved = pose(3)
    T_world_moved[2, 3] += 0.75
    other = Camera(120.0, 30.0, 25.0, 64, 48, CAMERA.T_camera_world @ np.linalg.inv(T_world_moved))
    world = np.array([[0.03, -0.02, -0.7], [-0.05, 0.01, -0.7]])
    seen = onto_plane(other, CAMERA, 0.7, torch.as_tensor(other.project(world), dtype=torch.float32))
    expected = CAMERA.project(world) / 48
    in_front = (world @ other.T_camera_world[:3, :3].T + other.T_camera_world[:3, 3])[:, 2] > 0
    assert np.allclose(seen.numpy()[in_front], expected[in_front], atol=1e-3)


def test_a_ray_away_from_the_plane_hits_nothing() -> None:
    backwards = Camera(150.0, 32.0, 24.0, 64, 48, np.eye(4))  # looks along +z of the world
    assert (onto_plane(backwards, CAMERA, 0.7, pixel_centres(backwards)) == 1e3).all()


def test_no_framing_is_the_plate_itself() -> None:
    plate = torch.rand(12, 16, 3, generator=torch.Generator().manual_seed(0))
    points = pixel_centres(Camera(1.0, 8.0, 6.0, 16, 12))
    assert torch.allclose(framed_plate(plate, torch.zeros(3), points, (16, 12)), plate.reshape(-1, 3), atol=1e-5)


def test_framing_moves_a_spot_where_its_equation_says() -> None:
    plate = torch.zeros(60, 80, 3)
    plate[20:23, 50:53] = 1.0  # its centre is at (51.5, 21.5)
    framing = torch.tensor([0.1, -0.05, 0.2])
    points = pixel_centres(Camera(1.0, 40.0, 30.0, 80, 60))
    seen = framed_plate(plate, framing, points, (80, 60)).reshape(60, 80, 3)[..., 0]
    y, x = torch.meshgrid(torch.arange(60) + 0.5, torch.arange(80) + 0.5, indexing="ij")
    found = [float((v * seen).sum() / seen.sum()) for v in (x, y)]
    scale = float(np.exp(0.2))
    assert found == pytest.approx([40 + 6.0 + scale * 11.5, 30 - 3.0 + scale * -8.5], abs=0.15)


def test_a_plate_with_a_margin_shows_it_when_the_camera_shifts() -> None:
    plate = torch.zeros(60, 60, 3)
    plate[:, :10] = 1.0  # the margin on the left: a quarter of 40 pixels
    points = pixel_centres(Camera(1.0, 20.0, 20.0, 40, 40))
    still = framed_plate(plate, torch.zeros(3), points, (40, 40), margin=0.25).reshape(40, 40, 3)
    moved = framed_plate(plate, torch.tensor([0.1, 0.0, 0.0]), points, (40, 40), margin=0.25).reshape(40, 40, 3)
    assert float(still.max()) == 0.0
    assert torch.allclose(moved[:, :4], torch.ones(40, 4, 3), atol=1e-4) and float(moved[:, 4:].max()) < 1e-4


def test_over() -> None:
    front, back = torch.full((2, 3), 0.25), torch.ones(2, 3)
    assert torch.equal(over(front, torch.tensor([0.5, 1.0]), back), torch.tensor([[0.75] * 3, [0.25] * 3]))
