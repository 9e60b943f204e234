"""Floats to bytes, and avatars that draw bytes themselves."""

import numpy as np
import torch

from gtalk.talk import Talker, View, to_uint8
from tests.support.toys import ToyAvatar, motion_of


def test_rounds_to_nearest_clamps_and_leaves_its_input_alone():
    values = torch.tensor([-1.0, 0.0, 0.4 / 255, 0.6 / 255, 0.5, 1.0, 1.5, float("nan"), float("inf"), -float("inf")])
    kept = values.clone()
    np.testing.assert_array_equal(to_uint8(values), [0, 0, 0, 1, 128, 255, 255, 0, 0, 0])
    torch.testing.assert_close(values, kept, equal_nan=True)


def test_every_byte_survives_a_round_trip():
    every = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_uint8(torch.from_numpy(every).float() / 255), every)


def test_any_shape_layout_and_precision():
    image = torch.rand(5, 7, 3, generator=torch.Generator().manual_seed(0))
    expected = np.rint(image.numpy() * 255).astype(np.uint8)
    np.testing.assert_array_equal(to_uint8(image), expected)
    np.testing.assert_array_equal(to_uint8(image.permute(2, 0, 1)), expected.transpose(2, 0, 1))
    np.testing.assert_array_equal(to_uint8(image.double().requires_grad_()), expected)
    assert to_uint8(torch.zeros(0, 4)).shape == (0, 4)


class ByteAvatar(ToyAvatar):
    """A toy that draws bytes, one level brighter than its floats so that one sees which were taken."""

    def render_bytes(self, motion, camera=None, size=None, background=None):
        out = super().render(motion, camera, size, background)
        rgb, alpha = (torch.from_numpy(to_uint8(v)) for v in (out.rgb, out.alpha))
        return rgb.clamp(max=254) + 1, alpha


def test_talker_takes_bytes_from_who_draws_them_and_converts_for_others():
    motion = motion_of(np.linspace(0.0, 0.02, 3))
    options = {"view": View(size=(32, 32), background=np.full((32, 32, 3), 90, np.uint8))}
    plain = list(Talker(ToyAvatar(64), None, **options).render_motion(motion))
    direct = list(Talker(ByteAvatar(64), None, batch=2, **options).render_motion(motion))
    assert len(plain) == len(direct) == 3
    for a, b in zip(plain, direct, strict=True):
        assert b.rgb.dtype == b.alpha.dtype == np.uint8
        np.testing.assert_array_equal(b.rgb, np.minimum(a.rgb, 254) + 1)
        np.testing.assert_array_equal(b.alpha, a.alpha)
