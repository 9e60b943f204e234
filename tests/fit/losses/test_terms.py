"""Losses: known values, bounds, gradients against finite differences."""

from __future__ import annotations

import pytest
import torch

from gtalk.dataset.format import MaskClass
from gtalk.fit.losses.terms import RegionWeights, alpha_loss, dssim_loss, l1_loss, pixel_weights


def images(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    return torch.rand(*shape, generator=rng, dtype=torch.float64), torch.rand(
        *shape, generator=rng, dtype=torch.float64
    )


def test_l1_of_a_constant_offset_is_the_offset() -> None:
    truth, _ = images(2, 5, 5, 3)
    assert float(l1_loss(truth + 0.25, truth)) == pytest.approx(0.25)
    weights = torch.zeros(2, 5, 5, dtype=torch.float64)
    weights[0] = 2.0
    assert float(l1_loss(truth + 0.25, truth, weights)) == pytest.approx(0.25)


def test_dssim_is_zero_for_equal_images_and_near_half_for_unrelated_ones() -> None:
    x, y = images(1, 32, 32, 3)
    assert float(dssim_loss(x, x)) == pytest.approx(0.0, abs=1e-9)
    assert 0.4 < float(dssim_loss(x, y)) < 0.55
    assert float(dssim_loss(x, 1.0 - x)) > 0.9


def test_dssim_matches_the_definition_on_one_window() -> None:
    x, y = images(1, 7, 7, 3)
    expected = []
    for c in range(3):
        a, b = x[0, ..., c], y[0, ..., c]
        covariance = ((a - a.mean()) * (b - b.mean())).mean()
        top = (2 * a.mean() * b.mean() + 1e-4) * (2 * covariance + 9e-4)
        bottom = (a.mean() ** 2 + b.mean() ** 2 + 1e-4) * (a.var(unbiased=False) + b.var(unbiased=False) + 9e-4)
        expected.append((1 - top / bottom) / 2)
    assert float(dssim_loss(x, y)) == pytest.approx(float(torch.stack(expected).mean()), rel=1e-9)


def test_dssim_takes_images_smaller_than_its_window() -> None:
    x, y = images(1, 4, 5, 3)
    assert 0.0 < float(dssim_loss(x, y)) < 1.0


@pytest.mark.parametrize("loss", [l1_loss, dssim_loss])
def test_gradients(loss) -> None:
    x, y = images(1, 5, 4, 3)
    assert torch.autograd.gradcheck(lambda v: loss(v, y), x.requires_grad_(), fast_mode=True)


def test_alpha_loss() -> None:
    assert float(alpha_loss(torch.ones(4), torch.tensor([1.0, 0.0, 1.0, 0.5]))) == pytest.approx(1.25 / 4)


def test_region_weights_have_mean_one_and_the_wanted_ratio() -> None:
    labels = torch.tensor(
        [[MaskClass.HEAD, MaskClass.MOUTH], [MaskClass.HEAD, MaskClass.BACKGROUND]], dtype=torch.uint8
    )
    weights = pixel_weights(labels, RegionWeights(head=2.0, mouth=6.0).table())
    assert float(weights.mean()) == pytest.approx(1.0)
    assert float(weights[0, 1] / weights[0, 0]) == pytest.approx(3.0)
