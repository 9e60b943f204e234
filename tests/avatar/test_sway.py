"""What sways is drawn where it was measured, and where it usually is when nobody measured it."""

from __future__ import annotations

import numpy as np
import torch

from gtalk.avatar.gaussian import GaussianAvatar
from gtalk.avatar.sway import ANCHOR, PLACE, POINT, SKIN, USUAL, WEIGHT, Carried, bilinear, learn_usual
from gtalk.geometry.rotation import exp_so3
from gtalk.types import SWAY, SWAY_GRID, Camera
from tests.avatar.small_gaussian import small_gaussian

CAMERA = Camera(800.0, 200.0, 150.0, 400, 300)


def anchors(count: int, share: float) -> torch.Tensor:
    rng = np.random.default_rng(0)
    rows = np.zeros((count, ANCHOR), np.float32)
    rows[:, POINT] = rng.normal(0.0, 0.05, (count, 3))
    rows[:, PLACE] = rng.uniform(0.1, 0.9, (count, 2))
    rows[:, SKIN], rows[:, WEIGHT] = share, 1.0
    return torch.from_numpy(rows)


def placed(turn: float) -> np.ndarray:
    """A head half a metre away."""
    return np.concatenate([exp_so3(np.array([0.1, turn, 0.05])), [[0.02], [-0.01], [0.5]]], axis=1)


def seen_px(points: torch.Tensor, T: np.ndarray) -> np.ndarray:
    inside = points.numpy() @ T[:, :3].T + T[:, 3]
    return inside[:, :2] / inside[:, 2:] * CAMERA.focal_px + [CAMERA.cx_px, CAMERA.cy_px]


def test_an_anchor_is_seen_where_it_was_measured() -> None:
    sway = torch.from_numpy(np.random.default_rng(1).normal(0.0, 0.02, SWAY).astype(np.float32))
    for share, T in ((0.0, placed(0.2)), (1.0, placed(-0.3))):
        rows = anchors(50, share)
        carried = Carried(rows, (placed(0.2), placed(-0.3)))
        moved = rows[:, POINT] + carried.shift(carried.measured(sway, CAMERA))
        wanted = rows[:, PLACE] * torch.tensor([400.0, 300.0]) + bilinear(sway, rows[:, PLACE]) * 300.0
        np.testing.assert_allclose(seen_px(moved, T), wanted.numpy(), atol=0.05)


def test_control_points_span_the_image() -> None:
    x, y = np.meshgrid(np.linspace(0, 1, SWAY_GRID), np.linspace(0, 1, SWAY_GRID))
    field = torch.from_numpy(np.stack([x, y], -1).astype(np.float32).ravel())
    place = torch.tensor([[0.0, 1.0], [0.25, 0.5], [0.93, 0.07]])
    torch.testing.assert_close(bilinear(field, place), place)


def test_what_has_no_weight_stays() -> None:
    rows = anchors(5, 0.5)
    rows[2, WEIGHT] = 0.0
    carried = Carried(rows, (placed(0.0), placed(0.0)))
    moved = carried.shift(carried.measured(torch.zeros(SWAY), CAMERA))
    assert (moved[2] == 0).all() and (moved[[0, 1, 3, 4]].abs().sum(1) > 0).all()


def test_what_follows_the_head_is_learned_from_it() -> None:
    rng = np.random.default_rng(2)
    rows, codes = anchors(20, 1.0), rng.normal(0.0, 1.0, (80, 6))
    law = rng.normal(0.0, 0.01, (6, SWAY))
    still = (placed(0.0), placed(0.0))
    learn_usual(rows, codes, (codes @ law).astype(np.float32), lambda _: still, CAMERA)
    assert rows[:, USUAL].abs().sum() > 0
    code = rng.normal(0.0, 1.0, 6)
    carried = Carried(rows, still)
    truth = carried.measured(torch.from_numpy((code @ law).astype(np.float32)), CAMERA)
    usual = carried.usual(torch.from_numpy(code.astype(np.float32)))
    spread = float((truth - carried.measured(torch.zeros(SWAY), CAMERA)).abs().max())
    assert float((usual - truth).abs().max()) < 0.15 * spread


def test_without_tracking_an_avatar_does_what_usually_sways() -> None:
    plain, motion = small_gaussian()
    count = len(plain.learned["base"])
    rows = anchors(count, 0.5)
    rows[:, POINT] = plain.learned["base"][:, :3]
    rows[:, USUAL] = torch.from_numpy(np.random.default_rng(3).normal(0.0, 0.004, (count, 14)).astype(np.float32))
    avatar = GaussianAvatar(plain.config, plain.parts, {**plain.learned, "anchors": rows})
    now = motion.replace(channels={n: v for n, v in motion.channels.items() if n != "sway"})[3]
    instant = avatar.instants(now)[0]
    assert instant.shift is None
    code = torch.from_numpy(plain.pose_code.encode(now.head_pose)[0].astype(np.float32))
    carried = Carried(rows, avatar.carriers(now)[0])
    wanted = carried.shift(carried.usual(code))[80:]  # of the rest, which follows where the head is
    moved = (avatar.gaussians(instant) - plain.gaussians(plain.instants(now)[0]))[80:, :3]
    assert float((moved - wanted).norm(dim=1).max()) < 0.25 * float(wanted.norm(dim=1).mean())
    sway = now.replace(channels={"sway": np.zeros((1, SWAY), np.float32)})
    assert avatar.instants(sway)[0].shift is not None
