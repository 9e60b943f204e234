"""Floats to bytes, and avatars that draw bytes themselves."""

import numpy as np
import pytest
import torch

from gtalk.compute.device import Delivery
from gtalk.talk import Talker, View, to_uint8
from gtalk.talk.pixels import levels
from tests.support.host_waits import THERE, HostWaits
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


class DistantAvatar(ToyAvatar):
    """A toy whose images are made on a device that one waits for."""

    device = THERE

    def render_bytes(self, motion, camera=None, size=None, background=None):
        height, width = self.camera.height, self.camera.width
        rgb = torch.zeros(len(motion), height, width, 3, dtype=torch.uint8, device=THERE)
        return rgb, rgb[..., 0]


class FloatAvatar(DistantAvatar):
    """The same without bytes of its own."""

    render_bytes = None  # type: ignore[assignment]

    def render(self, motion, camera=None, size=None, background=None):
        out = super().render(motion, camera, size, background)
        return type(out)(*(torch.empty(v.shape, device=THERE) for v in (out.rgb, out.alpha, out.depth)))


@pytest.mark.parametrize("avatar", [DistantAvatar, FloatAvatar])
def test_the_next_images_are_drawn_before_the_last_ones_are_waited_for(avatar, monkeypatch):
    told: list[str] = []

    class Watched(Delivery):
        def __init__(self, *parts):
            super().__init__(*parts)
            told.append("drawn")

        def wait(self):
            told.append("waited")
            return super().wait()

    monkeypatch.setattr("gtalk.talk.pixels.Delivery", Watched)
    if avatar is FloatAvatar:
        monkeypatch.setattr("gtalk.talk.pixels.DrawsBytes", type(None))
    talker = Talker(avatar(16), None, batch=2)
    with HostWaits() as waits:
        frames = list(talker.render_motion(motion_of(np.linspace(0.0, 0.02, 7))))
    assert len(frames) == 7 and all(not f.rgb.any() for f in frames)
    assert told == ["drawn", "drawn", "waited", "drawn", "waited", "drawn", "waited", "waited"]
    assert not waits.found  # one event is waited for a batch, and no other thing


def test_a_delivery_keeps_its_parts_apart():
    parts = [torch.arange(24, dtype=torch.uint8).reshape(2, 4, 3), torch.full((2, 4), 7, dtype=torch.uint8)]
    for one in (Delivery(*parts), joined(parts)):
        for got, wanted in zip(one.wait(), parts, strict=True):
            np.testing.assert_array_equal(got, wanted)


def joined(parts: list[torch.Tensor]) -> Delivery:
    """As it comes from a device: one buffer."""
    one = Delivery(*parts)
    one._parts = [torch.cat([p.flatten() for p in parts])]
    return one


def test_levels_on_another_device_stay_there():
    with HostWaits() as waits:
        assert levels(torch.zeros(3, 2, device=THERE)).is_meta
    assert not waits.found
