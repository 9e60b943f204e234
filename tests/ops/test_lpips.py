"""LPIPS: gradients against finite differences, whole files only. Its values are tested in tests/eval."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from gtalk.errors import UserError
from gtalk.ops.lpips import LEAST_SIDE, alexnet_distance, open_alexnet
from tests.support.lpips_stand_in import narrow_weights


def images(side: int = LEAST_SIDE) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(3)
    both = torch.rand(2, 2, 3, side, side, generator=rng, dtype=torch.float64) * 2.0 - 1.0
    return both[0].requires_grad_(), both[1]


def test_gradients_are_those_of_finite_differences() -> None:
    tensors = {name: tensor.double() for name, tensor in narrow_weights().items()}
    a, b = images()
    (gradient,) = torch.autograd.grad(alexnet_distance(tensors, a, b).sum(), a)
    for place in ((0, 0, 10, 10), (0, 2, 31, 40), (1, 1, 20, 5), (1, 0, 45, 33)):
        step = torch.zeros_like(a)
        step[place] = 1e-6
        with torch.no_grad():
            change = (alexnet_distance(tensors, a + step, b) - alexnet_distance(tensors, a - step, b)).sum()
        assert float(gradient[place]) == pytest.approx(float(change) / 2e-6, rel=1e-4, abs=1e-9)
        assert abs(float(gradient[place])) > 1e-7


@pytest.mark.parametrize("asleep", [0.0, 1e-25])
def test_features_that_vanish_have_no_gradient_rather_than_nan(asleep: float) -> None:
    tensors = narrow_weights()
    tensors["net.slice3.6.weight"].zero_()
    tensors["net.slice3.6.bias"].fill_(asleep)  # whose square is 0 in float32
    a, b = (p.detach().float() for p in images())
    a.requires_grad_()
    (gradient,) = torch.autograd.grad(alexnet_distance(tensors, a, b).sum(), a)
    assert bool(gradient.isfinite().all()) and float(gradient.abs().max()) > 0.0


def test_everything_stays_on_the_images_device() -> None:
    tensors = {name: tensor.to("meta") for name, tensor in narrow_weights().items()}
    a = torch.zeros(2, 3, 64, 64, device="meta")
    assert alexnet_distance(tensors, a, a).device.type == "meta"


def test_a_file_is_opened_as_frozen_float32(tmp_path: Path) -> None:
    tensors = narrow_weights() | {"unused": torch.zeros(1)}
    save_file({name: tensor.half() for name, tensor in tensors.items()}, tmp_path / "m.safetensors")
    opened = open_alexnet(tmp_path / "m.safetensors")
    assert opened.keys() == narrow_weights().keys()
    assert all(t.dtype == torch.float32 and not t.requires_grad for t in opened.values())


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("net.slice2.3.weight", torch.zeros(5, 4, 3, 3), "[5, 4, 3, 3] instead of [5, 4, 5, 5]"),
        ("net.slice3.6.weight", torch.zeros(6, 9, 3, 3), "[6, 9, 3, 3] instead of [6, 5, 3, 3]"),
        ("net.slice4.8.bias", torch.zeros(7), "[5, 6, 3, 3] instead of [7, 6, 3, 3]"),
        ("net.slice5.10.bias", torch.zeros(0), "[4, 5, 3, 3] instead of [0, 5, 3, 3]"),
        ("lin1.model.1.weight", torch.zeros(5), "[5] instead of [1, 5, 1, 1]"),
        ("lin4.model.1.weight", torch.full((1, 4, 1, 1), torch.nan), "not finite"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(tmp_path: Path, name: str, value: torch.Tensor, words: str) -> None:
    save_file(narrow_weights() | {name: value}, tmp_path / "m.safetensors")
    with pytest.raises(UserError, match=re.escape(words)) as caught:
        open_alexnet(tmp_path / "m.safetensors")
    assert "LPIPS weights" in str(caught.value) and "gtalk/ops/lpips.py" in caught.value.remedy
