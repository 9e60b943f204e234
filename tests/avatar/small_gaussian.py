"""A Gaussian avatar of random numbers, small enough for tests."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import torch

from gtalk.avatar.gaussian import PLACES, REST_CODES, GaussianAvatar, GaussianConfig
from gtalk.avatar.pose_code import PoseCode
from gtalk.types import Motion
from tests.avatar.small_radiance import small_avatar


@functools.cache
def small_gaussian() -> tuple[GaussianAvatar, Motion]:
    """A cloud of 120 Gaussians in the place of a head, and motion to drive it."""
    radiance, motion = small_avatar()
    rng = torch.Generator().manual_seed(0)
    codes = radiance.basis.size + REST_CODES
    base = torch.randn(120, 16, generator=rng)
    base[:, :3] *= 0.05
    base[:, 3:6] = -4.8 + 0.4 * base[:, 3:6]
    tensors = {"base": base, **random_bases(codes, 80, 40, rng)}
    pose_code = PoseCode.fit(motion, np.zeros(len(motion), np.int64))
    config = GaussianConfig(count=len(base))
    parts = replace(radiance.parts, fps=25.0, pose_code=pose_code)
    return GaussianAvatar(config, parts, tensors), motion


def random_bases(codes: int, face: int, rest: int, rng: torch.Generator) -> dict[str, torch.Tensor]:
    """What `face` and `rest` Gaussians do with codes that are as they should be: mean 0, deviation 1."""
    return {
        "face": (torch.randn(face, codes - PLACES, 16, generator=rng) * 2e-3).half(),
        "rest": (torch.randn(rest, REST_CODES, 16, generator=rng) * 2e-3).half(),
        "code_mean": torch.zeros(codes),
        "code_scale": torch.ones(codes),
    }
