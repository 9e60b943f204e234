"""A Gaussian avatar on the rig's neutral face, whose codes open the mouth, raise the brows and shut the eyes."""

from __future__ import annotations

import functools

import numpy as np
import torch

from gtalk.avatar.expressing.rig import MeshRig
from gtalk.avatar.gaussian import PLACES, REST_CODES, GaussianAvatar, GaussianConfig
from gtalk.avatar.parts import AvatarParts
from gtalk.avatar.pose_code import PoseCode
from gtalk.basis import MotionBasis
from gtalk.ops import splat
from gtalk.rig.shapes import SHAPES, displacements, neutral
from gtalk.topology import LANDMARKS68, SKIN_TRIANGLES
from gtalk.types import Camera, Motion

FRAMES = 60


def spoken(frames: int = FRAMES) -> Motion:
    """The jaw opens and shuts, the brows rise now and then, the eyes blink."""
    mesh, shapes, t = neutral(), displacements(neutral()), np.arange(frames)
    jaw = 0.15 * (1.0 - np.cos(t / 3.0))
    brows, smile = 0.3 * (np.sin(t / 7.0) > 0.8), 0.1 * (1.0 + np.sin(t / 11.0))
    weights = np.zeros((frames, len(SHAPES)))
    for name, values in (("jawOpen", jaw), ("browInnerUp", brows), ("mouthSmileLeft", smile)):
        weights[:, SHAPES.index(name)] = values
    points = mesh + np.tensordot(weights, shapes, 1)
    pose = np.tile(np.eye(4), (frames, 1, 1))
    pose[:, 2, 3] = -0.7
    eyes = np.ones((frames, 2))
    eyes[20:24] = 0.1
    zero = np.zeros((frames, 2))
    channels = {"landmarks478": points.astype(np.float32)}
    return Motion(25.0, points[:, LANDMARKS68], eyes, zero, zero.copy(), pose, np.ones(frames, bool), channels)


@functools.cache
def speaking_face(with_rig: bool = True) -> tuple[GaussianAvatar, Motion]:
    """The avatar, 96 x 96, and the motion that it was made from."""
    motion = spoken()
    basis = MotionBasis.fit(motion, n_mouth=3, n_upper=2)
    rig = MeshRig.fit(basis, motion)
    assert rig is not None
    corners, rng = rig.mean[SKIN_TRIANGLES], np.random.default_rng(0)
    share = rng.dirichlet([1.0, 1.0, 1.0], len(corners))
    base = np.zeros((len(corners) + 40, splat.CHANNELS), np.float32)
    base[: len(corners), splat.POSITION] = (share[..., None] * corners).sum(1)
    base[len(corners) :, splat.POSITION] = rng.normal([0.0, 0.0, -0.05], 0.05, (40, 3))
    base[:, splat.LOG_SCALE], base[:, 6], base[:, 10] = np.log(0.004), 1.0, 3.0
    base[:, splat.COLOUR] = rng.uniform(0.4, 0.8, (len(base), 3))
    base[:, 14] = -8.0
    size = basis.size
    face = np.zeros((len(corners), size + 3, splat.CHANNELS), np.float32)
    moved = (share[None, ..., None] * rig.motion[:, SKIN_TRIANGLES]).sum(2)
    face[:, :size, splat.POSITION] = moved.transpose(1, 0, 2)
    codes = basis.encode(motion)
    tensors = {
        "base": torch.from_numpy(base),
        "face": torch.from_numpy(face).half(),
        "rest": torch.zeros(40, REST_CODES, splat.CHANNELS).half(),
        "code_mean": torch.from_numpy(np.r_[codes.mean(0), np.zeros(REST_CODES)].astype(np.float32)),
        "code_scale": torch.ones(size + REST_CODES),
    }
    assert len(tensors["code_mean"]) == size + 3 + PLACES
    camera = Camera(500.0, 48.0, 48.0, 96, 96)
    pose_code = PoseCode.fit(motion, np.zeros(len(motion), np.int64))
    plate = np.full((96, 96, 3), 30, np.uint8)
    config = GaussianConfig(count=len(base), plate_margin=0.0)
    parts = AvatarParts(basis, camera, 25.0, plate, pose_code, rig if with_rig else None)
    return GaussianAvatar(config, parts, tensors), motion
