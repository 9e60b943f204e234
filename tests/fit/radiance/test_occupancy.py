"""Hull and shell enclose the true head and little else; pruning; patches of pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gtalk.basis import MotionBasis
from gtalk.dataset.format import HEAD_CLASSES, MaskClass
from gtalk.fit.frames import FrameCache
from gtalk.fit.losses.patches import PatchConfig, draw_patches
from gtalk.fit.protocol import FitContext
from gtalk.fit.radiance.occupancy import (
    UNKNOWN,
    ShellConfig,
    _in_shell,
    _surface,
    _view,
    head_volume,
    prune,
    spread_frames,
)
from tests.support.synthetic_dataset import CENTRE, RADII, make_synthetic_dataset


@pytest.fixture(scope="module")
def context(tmp_path_factory) -> FitContext:
    dataset = make_synthetic_dataset(tmp_path_factory.mktemp("ds"), n_frames=40, size=64)
    basis = MotionBasis.fit(dataset.motion)
    return FitContext(dataset, FrameCache(dataset, (64, 64)), np.arange(36), basis, dataset.camera, 0)


def test_the_visible_head_is_inside_the_volume(context: FitContext) -> None:
    volume = head_volume(context, 48, ShellConfig())
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(4000, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    front = normals[normals[:, 2] > 0.35]
    surface = CENTRE + front * RADII
    cell = np.floor((surface - volume.origin_m) / volume.extent_m * 48).astype(int)
    assert ((cell >= 0) & (cell < 48)).all()
    assert volume.occupied[cell[:, 0], cell[:, 1], cell[:, 2]].mean() > 0.99


def test_the_volume_is_a_small_part_of_its_cube(context: FitContext) -> None:
    volume = head_volume(context, 48, ShellConfig())
    assert 0.02 < volume.occupied.mean() < 0.35
    assert volume.extent_m < 0.36


def test_spread_frames_are_different_training_frames(context: FitContext) -> None:
    frames = spread_frames(context, 10)
    assert len(set(frames.tolist())) == 10 and frames.max() < 36
    yaw = context.dataset.motion.head_pose[:36, 0, 2]
    assert np.ptp(yaw[frames]) > 0.95 * np.ptp(yaw)
    assert len(spread_frames(context, 100)) == 36


def test_prune_keeps_what_was_seen_and_its_neighbours() -> None:
    occupied = torch.ones(7, 7, 7, dtype=torch.bool)
    occupied[3, 3, 4] = False
    strongest = torch.zeros(7, 7, 7)
    strongest[3, 3, 3], strongest[0, 0, 0] = 0.5, 0.005
    kept = prune(occupied, strongest, 0.01)
    assert kept.sum() == 26 and kept[2:5, 2:5, 2:5].sum() == 26


def test_patches_lie_in_the_image_and_favour_the_mouth(context: FitContext) -> None:
    frame, rng = context.frames[3], torch.Generator().manual_seed(0)
    config = PatchConfig(side=12, count=64, mouth_share=0.6, eyes_share=0.0, person_share=0.0)
    flat = draw_patches(frame, context.camera, config, rng)
    assert flat.shape == (64, 12, 12) and flat.min() >= 0 and flat.max() < 64 * 64
    assert (flat[:, 0, 1] - flat[:, 0, 0] == 1).all() and (flat[:, 1, 0] - flat[:, 0, 0] == 64).all()
    mouth = np.isin(frame.labels.reshape(-1)[flat.numpy()], (4, 5)).any((1, 2)).mean()
    assert mouth > 0.55


def test_patches_fall_on_neck_and_torso_as_often_as_told(context: FitContext) -> None:
    frame, rng = context.frames[3], torch.Generator().manual_seed(0)
    below = frame.labels.reshape(-1)
    shares = {}
    for share in (0.0, 1.0):
        config = PatchConfig(side=2, count=64, mouth_share=0.0, eyes_share=0.0, torso_share=share, person_share=0.0)
        flat = draw_patches(frame, context.camera, config, rng)
        shares[share] = np.isin(below[flat.numpy()], (MaskClass.NECK, MaskClass.TORSO)).any((1, 2)).mean()
    assert shares[1.0] > 0.9 and shares[0.0] < 0.7


def test_the_torso_does_not_carve_the_volume_beside_the_neck(context: FitContext) -> None:
    projection, mask = _view(context, 3, ShellConfig())
    labels = context.frames[3].labels
    assert projection.shape == (3, 4) and set(np.unique(mask)) == {0, 1, UNKNOWN}
    assert (mask[np.isin(labels, (*HEAD_CLASSES, MaskClass.NECK))] == 1).all()
    assert (labels[mask == UNKNOWN] == MaskClass.TORSO).all() and (mask[labels == MaskClass.TORSO] == 0).any()


def test_a_patch_is_never_larger_than_the_image(context: FitContext) -> None:
    flat = draw_patches(
        context.frames[0], context.camera, PatchConfig(side=500, count=2), torch.Generator().manual_seed(0)
    )
    assert flat.shape == (2, 64, 64)


def test_the_shell_is_deeper_beside_the_face_below_the_brows(context: FitContext) -> None:
    shape = context.dataset.person.shape
    edge = shape[shape[:, 0].argmax()]
    brows_m = context.basis.mean[17:27, 1].max()
    beside = edge + np.array([0.012, 0.0, 0.0])
    depths = np.linspace(-0.12, 0.0, 61)[:, None] * [0.0, 0.0, 1.0]
    surface = _surface(context)

    def deepest_m(place: np.ndarray, ears_m: float) -> float:
        inside = _in_shell(place + depths, surface, ShellConfig(ears_m=ears_m))
        return float(-depths[inside, 2].min())

    assert edge[1] < brows_m
    assert deepest_m(beside, 0.03) == pytest.approx(deepest_m(beside, 0.0) + 0.03, abs=0.003)
    above = np.array([beside[0], brows_m + 0.01, edge[2]])
    assert deepest_m(above, 0.03) == deepest_m(above, 0.0)
    behind_the_face = np.array([*shape.mean(0)[:2], shape[:, 2].max()])
    assert deepest_m(behind_the_face, 0.03) == deepest_m(behind_the_face, 0.0)
