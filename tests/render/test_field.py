"""Tracing a field whose answer is known in closed form."""

from __future__ import annotations

import math

import pytest
import torch

from gtalk.ops import GridSpec
from gtalk.ops.adapters.encoding import Encoding
from gtalk.render.field import DENSITY_BIAS, FrameField, Volume, displacement, query, trace

SPEC = GridSpec(3, (4,), 8)


def uniform_field(logit: float, warp: torch.Tensor | None = None) -> FrameField:
    """Everywhere the same density; the first colour channel grows with x, by way of the table."""
    corners = torch.stack(torch.meshgrid(*[torch.arange(5) / 4] * 3, indexing="ij"), -1)
    table = torch.zeros(SPEC.n_entries, 2)
    index = corners * 4
    place = index[..., 0] + 5 * index[..., 1] + 25 * index[..., 2]
    table[place.long().reshape(-1), 0] = corners[..., 0].reshape(-1)
    w0, w1, b1 = torch.eye(2), torch.zeros(16, 2), torch.zeros(16)
    b1[0] = logit
    w1[1, 0] = 1.0  # the first feature is x
    c0, c1 = torch.zeros(15, 15), torch.zeros(3, 15)
    c0[0, 0], c1[0, 0] = 1.0, 1.0
    return FrameField(
        Encoding(SPEC), table, w0, torch.zeros(2), w1, b1, c0, torch.zeros(15), c1, torch.zeros(3),
        torch.zeros(3, 2, 2, 2) if warp is None else warp,
    )  # fmt: skip


def volume(step_m: float = 0.01) -> Volume:
    return Volume(torch.ones(8, 8, 8, dtype=torch.uint8), (-0.1, -0.1, -0.1), 0.2, step_m, 256)


def rays() -> tuple[torch.Tensor, torch.Tensor]:
    """Straight down the z axis from 1 m in front, at x = -0.05 and 0.05, and one that misses."""
    directions = torch.tensor([[-0.05, 0.0, -1.0], [0.05, 0.0, -1.0], [1.0, 0.0, -1.0]])
    return torch.tensor([0.0, 0.0, 1.0]), directions


def bounds() -> tuple[torch.Tensor, torch.Tensor]:
    """Entry and exit of the cube along z, on whole steps."""
    return torch.full((3,), 0.9), torch.full((3,), 1.1)


def test_alpha_depth_and_colour_of_a_uniform_cube() -> None:
    logit = 1.0
    out = trace(uniform_field(logit), volume(), *rays(), *bounds())
    thickness = math.log1p(math.exp(logit + DENSITY_BIAS))  # of one step
    steps = 20  # 0.2 m of cube in steps of 0.01
    assert out.alpha[:2].tolist() == pytest.approx([1 - math.exp(-steps * thickness)] * 2, abs=2e-3)
    weights = torch.exp(-thickness * torch.arange(steps)) * (1 - math.exp(-thickness))
    depth = (weights * (0.9 + 0.01 * (torch.arange(steps) + 0.5))).sum()
    assert float(out.depth_m[0]) == pytest.approx(float(depth), rel=2e-3)
    # At depth d the ray is at x = -+0.05 d; the cube's coordinate is x / 0.2 + 0.5.
    for ray, sign in ((0, -1), (1, 1)):
        mean = float(out.depth_m[ray] / out.alpha[ray])
        expected = torch.sigmoid(torch.tensor(sign * 0.05 * mean / 0.2 + 0.5))
        assert float(out.rgb[ray, 0] / out.alpha[ray]) == pytest.approx(float(expected), abs=2e-3)
    assert out.alpha[2] == 0 and out.depth_m[2] == 0 and (out.rgb[2] == 0).all()


def test_a_finer_step_with_the_same_matter_sees_the_same() -> None:
    coarse = trace(uniform_field(1.0), volume(0.01), *rays(), *bounds())
    thin = math.log(math.expm1(math.log1p(math.exp(1.0 + DENSITY_BIAS)) / 4)) - DENSITY_BIAS
    fine = trace(uniform_field(thin), volume(0.0025), *rays(), *bounds())
    assert torch.allclose(coarse.alpha, fine.alpha, atol=2e-3)
    assert torch.allclose(coarse.depth_m, fine.depth_m, atol=6e-3)


def test_empty_voxels_are_skipped() -> None:
    half = volume()._replace(occupied=torch.zeros(8, 8, 8, dtype=torch.uint8))
    assert (trace(uniform_field(5.0), half, *rays(), *bounds()).alpha == 0).all()
    half.occupied[4:] = 1  # the half with x > 0
    out = trace(uniform_field(5.0), half, *rays(), *bounds())
    assert out.alpha[0] == 0 and out.alpha[1] > 0.9


def test_displacement_is_linear_between_control_points() -> None:
    warp = torch.zeros(3, 2, 2, 2)
    warp[0, :, :, 1] = 0.1  # x displacement grows with x
    warp[2, 1] = -0.2  # z displacement grows with z
    points = torch.tensor([[0.0, 0.5, 0.0], [0.5, 0.5, 0.5], [1.0, 0.1, 1.0], [2.0, 0.1, 0.25]])
    moved = displacement(warp, points)
    expected = torch.tensor([[0.0, 0.0, 0.0], [0.05, 0.0, -0.1], [0.1, 0.0, -0.2], [0.1, 0.0, -0.05]])
    assert torch.allclose(moved, expected, atol=1e-6)


def test_a_displaced_field_is_seen_displaced() -> None:
    warp = torch.zeros(3, 2, 2, 2)
    warp[0] = 0.1
    still, moved = (trace(uniform_field(3.0, w), volume(), *rays(), *bounds()) for w in (None, warp))
    logit = lambda out: torch.logit(out.rgb[0, 0] / out.alpha[0])  # noqa: E731
    assert float(logit(moved) - logit(still)) == pytest.approx(0.1, abs=1e-3)


def test_gradients_reach_tables_networks_and_warp() -> None:
    field = uniform_field(0.5)
    leaves = {n: getattr(field, n).requires_grad_() for n in ("table", "density_w1", "colour_w0", "warp")}
    out = trace(field, volume(), *rays(), *bounds())
    out.rgb[:, 0].sum().backward()
    for name, leaf in leaves.items():
        assert leaf.grad is not None and float(leaf.grad.abs().sum()) > 0, name
    with torch.no_grad():
        step = 1e-2
        bumped = [
            trace(field._replace(warp=field.warp + s * step), volume(), *rays(), *bounds()).rgb[:, 0].sum()
            for s in (-1, 1)
        ]
    numeric = float((bumped[1] - bumped[0]) / (2 * step))
    assert float(leaves["warp"].grad.sum()) == pytest.approx(numeric, rel=2e-2)


@pytest.mark.parametrize("logit", [-1.0, 1.0, 4.0])
def test_looking_in_one_go_is_tracing(logit: float) -> None:
    warp = torch.randn(3, 4, 4, 4, generator=torch.Generator().manual_seed(0)) * 0.05
    field = uniform_field(logit, warp)
    traced = trace(field, volume(), *rays(), *bounds())
    rgb, alpha, depth = query(field, volume(), *rays(), *bounds())
    assert torch.allclose(rgb, traced.rgb, atol=6e-3) and torch.allclose(alpha, traced.alpha, atol=6e-3)
    assert torch.allclose(depth, traced.depth_m, atol=6e-3)
    packed = query(field._replace(table=field.table.bfloat16()), volume(), *rays(), *bounds())
    assert torch.allclose(packed[0], rgb, atol=4e-3)
