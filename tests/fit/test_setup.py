"""What a radiance fit works out beforehand: plate, torso area, the head's first bending."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
import torch

from gtalk.avatar.head import WARP_UNIT
from gtalk.avatar.pose_code import PoseCode
from gtalk.avatar.torso import MARGIN
from gtalk.basis import MotionBasis
from gtalk.dataset.format import Dataset, MaskClass
from gtalk.fit.frames import FrameCache
from gtalk.fit.protocol import FitContext
from gtalk.fit.radiance.occupancy import HeadVolume
from gtalk.fit.radiance.plate import widened_plate
from gtalk.fit.radiance.torso_area import torso_area
from gtalk.fit.radiance.warp_init import mesh_motion, mesh_warp
from gtalk.render.field import displacement
from tests.support.synthetic_dataset import make_synthetic_dataset


@pytest.fixture(scope="module")
def context(tmp_path_factory) -> FitContext:
    dataset = make_synthetic_dataset(tmp_path_factory.mktemp("ds"), n_frames=30, size=64)
    basis = MotionBasis.fit(dataset.motion)
    return FitContext(dataset, FrameCache(dataset, (64, 64)), np.arange(27), basis, dataset.camera, 0)


def test_without_shifts_the_plate_is_the_datasets_with_its_edge_continued(context: FitContext) -> None:
    plate = widened_plate(context, np.zeros((30, 3)), 0.125)
    assert plate.shape == (80, 80, 3)
    own = context.dataset.background()
    assert np.array_equal(plate[8:-8, 8:-8], own)
    assert np.array_equal(plate[40, :8], np.repeat(own[32:33, 0], 8, axis=0))


def test_a_shifting_camera_fills_the_margin_with_what_it_saw(tmp_path) -> None:
    # A wide wall seen through a window that shifts to the left in the second half.
    size, wall = 64, np.random.default_rng(0).integers(40, 216, (8, 12, 3)).astype(np.uint8)
    wall = cv2.resize(wall, (96, 64), interpolation=cv2.INTER_LINEAR)
    dataset = make_synthetic_dataset(tmp_path, n_frames=20, size=size)
    framing = np.zeros((20, 3))
    framing[10:, 0] = 6 / size
    for index in range(20):
        first = 16 - (6 if index >= 10 else 0)
        image = np.ascontiguousarray(wall[:, first : first + size, ::-1])
        cv2.imwrite(str(tmp_path / f"frames/{index:06d}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 100])
        cv2.imwrite(str(tmp_path / f"mattes/{index:06d}.png"), np.zeros((size, size), np.uint8))
    cv2.imwrite(str(tmp_path / "background.png"), np.ascontiguousarray(wall[:, 16:80, ::-1]))
    dataset = Dataset(tmp_path)
    context = FitContext(
        dataset, FrameCache(dataset, (64, 64)), np.arange(20), MotionBasis.fit(dataset.motion), dataset.camera, 0
    )
    plate = widened_plate(context, framing, 0.125)
    seen = plate[8:-8, 3:8].astype(float)  # the 6 pixels left of the image, less one at the border
    assert np.abs(seen - wall[:, 11:16]).mean() < 4.0
    continued = np.abs(seen - wall[:, 16:17]).mean()
    assert continued > 8.0  # continuing the edge would have been clearly worse


def test_the_torso_area_holds_neck_and_torso_and_leaves_the_sky(context: FitContext) -> None:
    pose_code = PoseCode.fit(context.dataset.motion[:27], np.zeros(27, int))
    area = torso_area(context, pose_code, 48)
    span = 1 + 2 * MARGIN
    assert area[int((0.95 + MARGIN) / span * 48), 24]
    assert not area[: int((0.15 + MARGIN) / span * 48)].any()
    labels = context.frames[5].labels
    rows, columns = np.nonzero(np.isin(labels, (MaskClass.NECK, MaskClass.TORSO)))
    cell = [((v + 0.5) / 64 + MARGIN) / span * 48 for v in (rows, columns)]
    assert area[cell[0].astype(int), cell[1].astype(int)].mean() > 0.97


def test_the_first_bending_looks_up_a_moved_mesh_where_the_mean_has_it(context: FitContext) -> None:
    dataset = context.dataset
    person = dataset.person
    near = np.exp(-((person.shape[:, :2] - [0, -0.045]) ** 2).sum(1) / 0.03**2)
    opening = dataset.motion.landmarks[:, 57, 1] - dataset.motion.landmarks[:, 57, 1].mean()
    dense = person.shape + np.einsum("t,p->tp", opening, near)[..., None] * [0.0, 1.0, 0.0]
    motion = dataset.motion.replace(channels={**dataset.motion.channels, "landmarks478": dense})
    moved = Dataset(dataset.root)
    moved.__dict__["motion"] = motion
    volume = HeadVolume(np.array([-0.13, -0.16, -0.16]), 0.27, np.ones((4, 4, 4), bool))
    mesh = mesh_motion(dataclasses.replace(context, dataset=moved))
    assert mesh is not None
    warp = mesh_warp(mesh, volume, 24)
    assert warp.shape == (context.basis.size, 3, 24, 24, 24)
    frame = int(opening.argmax())
    code = torch.as_tensor(context.basis.encode(motion)[frame], dtype=torch.float32)
    field = torch.einsum("k,kdzyx->dzyx", code * WARP_UNIT, warp)
    chin = near > 0.5
    unit = torch.as_tensor((dense[frame, chin] - volume.origin_m) / 0.27, dtype=torch.float32)
    looked_up = volume.origin_m + (unit + displacement(field, unit)).double().numpy() * 0.27
    before = np.linalg.norm(dense[frame, chin] - dense.mean(0)[chin], axis=1).mean()
    after = np.linalg.norm(looked_up - dense.mean(0)[chin], axis=1).mean()
    assert after < 0.45 * before


def test_no_dense_tracking_means_no_first_bending(context: FitContext) -> None:
    assert mesh_motion(context) is None
