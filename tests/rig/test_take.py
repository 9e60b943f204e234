"""An expression take that another camera saw and another tracking placed: brought to the clip's head space."""

import numpy as np

from gtalk.geometry.rotation import exp_so3
from gtalk.rig.expression import named
from gtalk.rig.shapes import displacements, neutral
from gtalk.rig.take import on_clip, quiet_face
from gtalk.topology import LANDMARKS68
from gtalk.types import Motion


def motion_of(points: np.ndarray, poses: np.ndarray) -> Motion:
    zeros = np.zeros((len(points), 2))
    channels = {"landmarks478": points.astype(np.float32), "torso": np.zeros((len(points), 4))}
    valid = np.ones(len(points), bool)
    return Motion(25.0, points[:, LANDMARKS68], zeros + 1, zeros, zeros, poses, valid, channels)


def poses_of(count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, :3] = exp_so3(rng.normal(0.0, 0.1, (count, 3)))
    poses[:, :3, 3] = [0.01, -0.02, -0.6]
    return poses


def test_every_point_is_seen_where_it_was_and_expressions_stay() -> None:
    mesh, rng = neutral(), np.random.default_rng(1)
    clip = motion_of(mesh + rng.normal(0.0, 1e-5, (40, 478, 3)), poses_of(40))
    weights = np.concatenate([np.zeros(12), np.ones(28)])
    smile = np.tensordot(named("smile").vector(), displacements(mesh), 1)
    true = mesh + weights[:, None, None] * smile
    turn, scale, shift = exp_so3(np.array([[0.05, -0.08, 0.03]]))[0], 1.07, np.array([0.004, 0.01, -0.006])
    take = motion_of((true - shift) @ turn / scale, poses_of(40))
    moved = on_clip(take, clip)
    assert set(moved.channels) == {"landmarks478"}
    np.testing.assert_allclose(moved.channels["landmarks478"], true, atol=2e-5)
    np.testing.assert_allclose(moved.landmarks, true[:, LANDMARKS68], atol=2e-5)

    def seen(motion: Motion) -> np.ndarray:
        pose, points = motion.head_pose, motion.channels["landmarks478"].astype(np.float64)
        world = points @ pose[:, :3, :3].transpose(0, 2, 1) + pose[:, None, :3, 3]
        return world[..., :2] / world[..., 2:]

    np.testing.assert_allclose(seen(moved), seen(take), atol=1e-4)


def test_the_quiet_face_is_found_amid_expressions() -> None:
    mesh = neutral()
    smile = np.tensordot(named("grin").vector(), displacements(mesh), 1)
    points = mesh + np.concatenate([np.zeros(6), np.ones(54)])[:, None, None] * smile
    found = quiet_face(motion_of(1.1 * points, poses_of(60)), mesh)
    np.testing.assert_allclose(found, 1.1 * mesh, atol=1e-6)
