"""Holes of a head that turns, on masks and on a head made of Gaussians."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from gtalk.avatar.gaussian import GaussianAvatar
from gtalk.geometry.rotation import exp_so3
from gtalk.ops import splat
from tests.avatar.small_gaussian import small_gaussian
from tools.bench.fit.regions import holes

RADIUS_M = 0.07


def disc() -> np.ndarray:
    y, x = np.mgrid[:120, :120]
    return ((x - 60) ** 2 + (y - 60) ** 2 < 45**2).astype(float)


def test_holes_are_shares_of_the_silhouette() -> None:
    whole = disc()
    assert holes(whole) == 0.0 and holes(np.zeros((20, 20))) == 0.0
    ring, slit, grey = whole.copy(), whole.copy(), whole.copy()
    ring[50:70, 50:70] = 0.0
    slit[10:60, 80:82] = 0.0  # open above
    grey[50:70, 50:70] = 0.75
    area = holes(ring)
    assert area == pytest.approx(400 / (np.pi * 44**2), rel=0.1)
    assert 0.5 * 80 < holes(slit) / area * 400 < 110
    assert holes(grey) == pytest.approx(area / 4, rel=0.01)
    beside = whole.copy()
    beside[:, :20], beside[40:80, 100:] = 0.0, 0.0  # a straight side is no hole
    assert holes(beside) < 0.01


@pytest.mark.parametrize(("kept", "turned_rad", "low", "high"), [
    ("sphere", 0.0, 0.0, 0.01), ("sphere", 0.6, 0.0, 0.01),
    ("mask and ring", 0.0, 0.0, 0.01), ("mask and ring", 0.6, 0.02, 0.2),
])  # fmt: skip
def test_a_shell_with_a_gap_shows_it_when_it_turns(kept: str, turned_rad: float, low: float, high: float) -> None:
    """A sphere; and its front with a ring 18 mm behind it, which is closed from the front alone."""
    cloud, motion = small_gaussian()
    ticks = np.arange(6000) + 0.5
    height, angle = 1.0 - 2.0 * ticks / len(ticks), np.pi * (3.0 - np.sqrt(5.0)) * ticks
    unit = np.stack([np.sqrt(1 - height**2) * np.cos(angle), height, np.sqrt(1 - height**2) * np.sin(angle)], 1)
    points = RADIUS_M * unit
    if kept != "sphere":
        front = np.hypot(unit[:, 0], unit[:, 1]) < 0.7
        points[:, 2] = np.where(front, np.abs(points[:, 2]), 0.71 * RADIUS_M - 0.018)
    base = torch.zeros(len(points), splat.CHANNELS)
    base[:, splat.POSITION] = torch.from_numpy(points).float()
    base[:, splat.LOG_SCALE], base[:, splat.OPACITY], base[:, splat.SKIN] = np.log(0.0018), 4.0, -6.0
    base[:, splat.QUATERNION] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    own = dict(cloud.learned)
    still = {name: 0 * own[name][:1].repeat(len(points) // 2, 1, 1) for name in ("face", "rest")}
    own |= {"base": base, **still}
    parts = replace(cloud.parts, camera=cloud.camera.resized(320, 320))
    avatar = GaussianAvatar(replace(cloud.config, count=len(base)), parts, own)
    now = motion[:1]
    pose = now.head_pose.copy()
    pose[0, :3, :3] = exp_so3(np.array([0.0, turned_rad, 0.0]))
    alpha = avatar.render(now.replace(head_pose=pose)).alpha[0].numpy()
    assert alpha.max() > 0.9 and low <= holes(alpha) <= high
