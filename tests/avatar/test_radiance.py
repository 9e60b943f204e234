"""The radiance avatar's images: layers, sizes, backgrounds, views, and what moves what."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from gtalk.avatar.base import Avatar
from gtalk.config import to_mapping
from gtalk.errors import UserError
from tests.avatar.small_radiance import moved_to_meta, small_avatar
from tests.support.host_waits import HostWaits


def test_it_is_an_avatar_and_renders_batches() -> None:
    avatar, motion = small_avatar()
    assert isinstance(avatar, Avatar)
    out = avatar.render(motion[:3])
    assert out.rgb.shape == (3, 32, 32, 3) and out.alpha.shape == out.depth.shape == (3, 32, 32)
    assert torch.isfinite(out.rgb).all() and out.rgb.min() >= 0 and out.rgb.max() <= 1 + 1e-5
    assert out.alpha.min() >= 0 and out.alpha.max() <= 1 + 1e-5
    single = avatar.render(motion[2])
    assert torch.allclose(single.rgb[0], out.rgb[2], atol=1e-5)


def test_alpha_is_exact_and_backgrounds_agree() -> None:
    avatar, motion = small_avatar()
    bare = avatar.render(motion[4], background=None)
    colour = np.full((32, 32, 3), (255, 128, 0), np.uint8)
    painted = avatar.render(motion[4], background=colour)
    expected = bare.rgb[0] + (1 - bare.alpha[0])[..., None] * torch.from_numpy(colour).float() / 255
    assert torch.allclose(painted.rgb[0], expected, atol=1e-6)
    assert torch.equal(painted.alpha, bare.alpha)
    assert 0.02 < float((bare.alpha > 0.5).float().mean()) < 0.9


def test_where_nobody_is_the_plate_is_seen_and_depth_is_zero() -> None:
    avatar, motion = small_avatar()
    avatar = dataclass_free_copy(avatar, plate_margin=0.0)
    still = motion[4].replace(channels={"framing": np.zeros((1, 3)), "torso": np.zeros((1, 4))})
    out = avatar.render(still)
    empty = out.alpha[0] == 0
    plate = torch.from_numpy(avatar.plate).float() / 255
    assert empty.any() and torch.allclose(out.rgb[0][empty], plate[empty], atol=2e-3)
    assert (out.depth[0][empty] == 0).all()
    solid = out.alpha[0] > 0.9
    assert (out.depth[0][solid] > 0.4).all() and (out.depth[0][solid] < 1.0).all()


def dataclass_free_copy(avatar, plate_margin: float):
    config = dataclasses.replace(avatar.config, plate_margin=plate_margin)
    return type(avatar)(config, avatar.parts, avatar.learned)


def test_another_size_is_the_same_view() -> None:
    avatar, motion = small_avatar()
    small, large = avatar.render(motion[0]), avatar.render(motion[0], size=(96, 96))
    assert large.rgb.shape == (1, 96, 96, 3)
    reduced = torch.nn.functional.avg_pool2d(large.alpha, 3)
    assert float((reduced - small.alpha).abs().mean()) < 0.03


def test_a_wrong_aspect_or_background_is_the_users_to_know() -> None:
    avatar, motion = small_avatar()
    with pytest.raises(UserError, match="aspect ratio"):
        avatar.render(motion[0], size=(64, 32))
    with pytest.raises(UserError, match="image of 32x32"):
        avatar.render(motion[0], background=np.zeros((8, 8, 3), np.uint8))


def test_a_camera_from_the_side_sees_the_head_from_the_side() -> None:
    avatar, motion = small_avatar()
    pivot, angle = np.eye(4), np.radians(25.0)
    pivot[:3, 3] = motion.head_pose[0, :3, 3]
    turn = np.eye(4)
    turn[0, 0], turn[0, 2], turn[2, 0], turn[2, 2] = np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)
    T_world_orbit = pivot @ turn @ np.linalg.inv(pivot)
    moved = dataclasses.replace(avatar.camera, T_camera_world=avatar.camera.T_camera_world @ T_world_orbit)
    # Turning the camera about the head is turning the head the same way, as far as the head goes.
    turned = motion[0].replace(head_pose=T_world_orbit[None] @ motion.head_pose[:1])
    from gtalk.render.rays import pixel_centres

    points = pixel_centres(avatar.camera)
    now = avatar.instants(motion[0])[0]
    by_camera = avatar.trace_head(now, moved, points)
    by_head = avatar.trace_head(dataclasses.replace(now, T_world_head=turned.head_pose[0]), avatar.camera, points)
    assert torch.allclose(by_camera.alpha, by_head.alpha, atol=2e-2)
    assert float((by_camera.alpha - avatar.trace_head(now, avatar.camera, points).alpha).abs().max()) > 0.2


def test_the_mouth_changes_the_image_and_clamps_beyond_the_clip() -> None:
    avatar, motion = small_avatar()
    wide = motion[0].replace(landmarks=motion.landmarks[:1] * [1.0, 4.0, 1.0])
    wider = motion[0].replace(landmarks=motion.landmarks[:1] * [1.0, 40.0, 1.0])
    first, second, third = (avatar.render(m).rgb for m in (motion[0], wide, wider))
    assert float((first - second).abs().max()) > 0.01
    assert torch.isfinite(third).all()


def test_without_torso_channel_the_torso_follows_the_head() -> None:
    avatar, motion = small_avatar()
    bare = motion.replace(channels={})
    placed = avatar.pose_code.torso_and_framing(bare)
    assert np.ptp(placed[:, 0]) > 0.3 * np.ptp(motion.channels["torso"][:, 0])
    out = avatar.render(bare[3])
    assert torch.isfinite(out.rgb).all()


def test_codes_that_reach_outside_the_tables_are_refused() -> None:
    avatar, _ = small_avatar()
    tensors = avatar.tensors()
    tensors["head.reach"] = tensors["head.reach"] + len(tensors["head.coarse"])
    with pytest.raises(ValueError, match=r"head\.reach"):
        type(avatar).from_parts(to_mapping(avatar.config), avatar.parts, tensors)


def test_no_frame_waits_for_its_device() -> None:
    avatar, motion = small_avatar()
    there = moved_to_meta(avatar)
    there.render(motion[:1])  # the plate is reduced once
    picture = np.zeros((avatar.camera.height, avatar.camera.width, 3), np.uint8)
    with HostWaits() as waits:
        out = there.render(motion[:3])
        there.render(motion[:1], background=picture)
        there.render(motion[:1], background=None)
    assert out.rgb.is_meta and out.rgb.shape == (3, avatar.camera.height, avatar.camera.width, 3)
    assert not waits.found


def test_every_pixel_looked_at_is_the_same_image(monkeypatch) -> None:
    """As on a GPU, where nothing is picked out."""
    avatar, motion = small_avatar()
    wanted = avatar.render(motion[:2])
    monkeypatch.setattr("gtalk.avatar.radiance.worth_picking", lambda mask: slice(None))
    got = avatar.render(motion[:2])
    for name in ("rgb", "alpha", "depth"):
        torch.testing.assert_close(getattr(got, name), getattr(wanted, name), atol=1e-5, rtol=1e-5)
