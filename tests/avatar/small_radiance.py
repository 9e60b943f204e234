"""A radiance avatar of random weights, small enough for tests."""

from __future__ import annotations

import copy
import functools
import tempfile
from pathlib import Path

import numpy as np
import torch

from gtalk.avatar.head import HeadConfig
from gtalk.avatar.parts import AvatarParts
from gtalk.avatar.pose_code import PoseCode
from gtalk.avatar.radiance import RadianceAvatar, RadianceConfig, initial_tensors
from gtalk.avatar.torso import TorsoConfig
from gtalk.basis import MotionBasis
from gtalk.types import Motion
from tests.support.synthetic_dataset import CENTRE, RADII, make_synthetic_dataset

CONFIG = RadianceConfig(
    HeadConfig(levels=5, log2_table=11, finest_resolution=48, blended_levels=3, hidden=16, colour_hidden=16,
               occupancy_resolution=24, step_m=0.006, warp_cells=4),
    TorsoConfig(levels=4, log2_table=9, finest_resolution=48, blended_levels=2, hidden=16, area_resolution=24),
)  # fmt: skip


@functools.cache
def small_avatar() -> tuple[RadianceAvatar, Motion]:
    """An avatar whose head fills an ellipsoid with random matter, and motion to drive it."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = make_synthetic_dataset(Path(folder), n_frames=12, size=32)
        motion, camera, plate = dataset.motion, dataset.camera, dataset.background()
    basis = MotionBasis.fit(motion)
    rng = torch.Generator().manual_seed(0)
    tensors = initial_tensors(CONFIG, basis.size, rng, reached=900)
    tensors["head.reach"] = torch.randperm(len(tensors["head.coarse"]), generator=rng)[:900].sort().values
    for name, tensor in tensors.items():
        if name.endswith((".basis", ".coarse", ".fine", ".code", ".pose", ".warp")):
            tensor.copy_(torch.randn(tensor.shape, generator=rng) * 0.2)
    tensors["head.density.b1"][0] = 4.0
    extent, origin = 0.24, CENTRE - 0.12
    steps = (np.arange(24) + 0.5) / 24 * extent
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1) + origin
    tensors["head.occupied"] = torch.from_numpy((((grid - CENTRE) / RADII) ** 2).sum(-1) < 1).to(torch.uint8)
    tensors["head.origin_m"] = torch.from_numpy(origin)
    tensors["head.extent_m"] = torch.tensor(extent, dtype=torch.float64)
    tensors["torso.area"][14:] = 1
    pose_code = PoseCode.fit(motion, np.zeros(12, int))
    return RadianceAvatar(CONFIG, AvatarParts(basis, camera, dataset.fps, plate, pose_code), tensors), motion


def moved_to_meta(avatar: RadianceAvatar, learned: dict[str, torch.Tensor] | None = None) -> RadianceAvatar:
    """On the meta device, with what is read once in an avatar's life as the one given knows it.

    `learned`: tensors of the meta device, which must stay the ones that they are.
    """
    there, known = copy.copy(avatar), avatar.place_norm
    there.learned = learned or {n: t.detach().to("meta") for n, t in avatar.learned.items()}
    there.head = {n.removeprefix("head."): t for n, t in there.learned.items() if n.startswith("head.")}
    there.torso = {n.removeprefix("torso."): t for n, t in there.learned.items() if n.startswith("torso.")}
    there.plate_tensor, there.voxels_m = avatar.plate_tensor.to("meta"), avatar.voxels_m.to("meta")
    there.volume, there._plates = avatar.volume._replace(occupied=there.head["occupied"]), {}
    there.__dict__["place_norm"] = known
    return there
