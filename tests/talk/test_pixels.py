"""Floats to bytes."""

import numpy as np
import torch

from gtalk.talk import to_uint8


def test_rounds_to_nearest_clamps_and_leaves_its_input_alone():
    values = torch.tensor([-1.0, 0.0, 0.4 / 255, 0.6 / 255, 0.5, 1.0, 1.5, float("nan"), float("inf"), -float("inf")])
    kept = values.clone()
    np.testing.assert_array_equal(to_uint8(values), [0, 0, 0, 1, 128, 255, 255, 0, 0, 0])
    torch.testing.assert_close(values, kept, equal_nan=True)


def test_every_byte_survives_a_round_trip():
    every = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_uint8(torch.from_numpy(every).float() / 255), every)


def test_any_shape_layout_and_precision():
    picture = torch.rand(5, 7, 3, generator=torch.Generator().manual_seed(0))
    expected = np.rint(picture.numpy() * 255).astype(np.uint8)
    np.testing.assert_array_equal(to_uint8(picture), expected)
    np.testing.assert_array_equal(to_uint8(picture.permute(2, 0, 1)), expected.transpose(2, 0, 1))
    np.testing.assert_array_equal(to_uint8(picture.double().requires_grad_()), expected)
    assert to_uint8(torch.zeros(0, 4)).shape == (0, 4)
