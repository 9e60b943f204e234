from pathlib import Path

import numpy as np
import pytest
import torch

from gtalk.avatar.base import Consent
from gtalk.avatar.bundle import load_avatar, save_avatar
from gtalk.avatar.expressing.binding import JAW, LOWER, SKULL, UPPER, bind, lip_sides
from gtalk.avatar.expressing.openings import onset
from gtalk.errors import UserError
from gtalk.ops import splat
from gtalk.rig.shapes import SHAPES, displacements, neutral
from gtalk.topology import INNER_LIPS_RING, SKIN_TRIANGLES
from gtalk.types import EXPRESSIONS, Motion
from tests.avatar.expressing.speaking_face import speaking_face


def with_weights(motion: Motion, **named: float) -> Motion:
    weights = np.zeros((len(motion), len(SHAPES)), np.float32)
    for name, value in named.items():
        weights[:, SHAPES.index(name)] = value
    return motion.replace(channels={**motion.channels, "expression": weights})


def test_the_channel_is_as_wide_as_the_rig() -> None:
    assert len(SHAPES) == EXPRESSIONS


def test_zero_weights_change_no_bit() -> None:
    avatar, motion = speaking_face()
    plain = avatar.render(motion[:2])
    zero = avatar.render(with_weights(motion[:2]))
    assert torch.equal(plain.rgb, zero.rgb)
    assert torch.equal(plain.alpha, zero.alpha)


def test_gaussians_on_the_skin_follow_the_mesh() -> None:
    avatar, motion = speaking_face()
    frame = motion[0]
    before = avatar.gaussians(avatar.instants(frame)[0])[:, splat.POSITION].numpy()
    asked = with_weights(frame, browDownLeft=1.0, mouthSmileRight=0.7)
    drawn, order = (
        avatar.gaussians(avatar.instants(asked)[0])[:, splat.POSITION].numpy(),
        avatar.expression.groups.order,
    )
    after = np.empty_like(before[: len(order)])
    after[order] = drawn[: len(order)]
    field = displacements(avatar.division.rig.neutral)
    field = field[SHAPES.index("browDownLeft")] + 0.7 * field[SHAPES.index("mouthSmileRight")]
    n = len(SKIN_TRIANGLES)
    base = avatar.tensors()["base"][:n, splat.POSITION].numpy()
    corners = avatar.division.rig.mean[SKIN_TRIANGLES]
    shares = np.stack([np.linalg.solve(c.T, p) for c, p in zip(corners, base, strict=True)])  # barycentric
    wanted = (shares[..., None] * field[SKIN_TRIANGLES]).sum(1)
    far_from_lips = np.linalg.norm(base[:, None] - avatar.division.rig.mean[INNER_LIPS_RING], axis=-1).min(1) > 0.02
    error = np.linalg.norm(after[:n] - before[:n] - wanted, axis=1)[far_from_lips]
    assert np.percentile(error, 95) < 4e-4  # the rest lies on the rims of the eyes, which hold their balls still
    assert np.abs(wanted[far_from_lips]).max() > 3e-3


def test_an_expression_is_seen_and_shows_no_hole() -> None:
    avatar, motion = speaking_face()
    plain = avatar.render(motion[0])
    smiling = avatar.render(with_weights(motion[0], mouthSmileLeft=1.0, mouthSmileRight=1.0, jawOpen=0.5))
    assert (smiling.rgb - plain.rgb).abs().max() > 0.1
    inside = plain.alpha[0] > 0.98
    assert (smiling.alpha[0][inside] < 0.8).float().mean() < 0.02


def test_the_lips_are_told_apart_by_how_they_move() -> None:
    mesh, shapes = neutral(), displacements(neutral())
    jaw = 0.3 * shapes[SHAPES.index("jawOpen")][None]
    ring = mesh[INNER_LIPS_RING]
    rows = [*range(2, 9), *range(12, 19)]
    same_place = np.repeat(ring[[2, 3, 4, 5, 6, 7, 8]], 2, axis=0)  # an upper and a lower Gaussian in each place
    lower, upper = jaw[0, INNER_LIPS_RING[rows[:7]]], jaw[0, INNER_LIPS_RING[[18, 17, 16, 15, 14, 13, 12]]]
    moves = np.stack([lower, upper], 1).reshape(-1, 1, 3)
    shown = np.full((2, len(moves)), 50.0)
    found = bind(mesh, same_place, moves, jaw, shown)
    assert (found.region[0::2] == LOWER).all()
    assert (found.region[1::2] == UPPER).mean() > 0.8
    assert set(lip_sides(mesh)[INNER_LIPS_RING[1:10]]) == {-1}


def test_what_lies_behind_the_lips_is_held() -> None:
    mesh = neutral()
    centre = mesh[INNER_LIPS_RING].mean(0)
    position = centre + np.array([[0.0, 0.0, -0.015], [0.008, 0.0, -0.012]])
    found = bind(mesh, position, np.zeros((2, 1, 3)), np.zeros((1, 478, 3)), np.full((2, 2), [[0.0, 0.0], [9.0, 9.0]]))
    assert np.isin(found.region, (SKULL, JAW)).all()
    assert not found.share[found.region == SKULL].any()


def test_the_rig_is_saved_and_other_avatars_say_what_they_lack(tmp_path: Path) -> None:
    avatar, motion = speaking_face()
    save_avatar(tmp_path / "a", avatar, provenance={}, consent=Consent("p", "c"))
    again = load_avatar(tmp_path / "a")
    asked = with_weights(motion[3], mouthFrownLeft=0.8)
    np.testing.assert_allclose(again.render(asked).rgb, avatar.render(asked).rgb, atol=0.02)
    save_avatar(tmp_path / "b", speaking_face(with_rig=False)[0], provenance={}, consent=Consent("p", "c"))
    with pytest.raises(UserError, match="dataset"):
        load_avatar(tmp_path / "b").render(asked)
    motion.save(tmp_path / "b" / "dataset" / "motion.npz")
    found = load_avatar(tmp_path / "b").render(asked)
    np.testing.assert_allclose(found.rgb, avatar.render(asked).rgb, atol=0.05)


def test_the_onset_is_smooth_and_ends_at_one() -> None:
    values = [onset(np.full(1, w)) for w in np.linspace(0.0, 0.3, 31)]
    assert values[0] == 0.0
    assert values[-1] == 1.0
    assert np.abs(np.diff(values)).max() < 0.15


def test_a_wink_leaves_the_other_eye_alone() -> None:
    avatar, motion = speaking_face()
    plain, winking = (avatar.instants(frame)[0] for frame in (motion[0], with_weights(motion[0], eyeBlinkLeft=0.8)))
    right_half, left_half = winking.asked.eyes
    own = avatar.basis.encode(motion[0])[0, avatar.basis.groups["eyes"]][:2]
    np.testing.assert_allclose(right_half, own)
    assert left_half[0] < own[0] and left_half[1] < own[1]
    assert torch.isfinite(avatar.gaussians(winking)).all() and plain.asked is None
