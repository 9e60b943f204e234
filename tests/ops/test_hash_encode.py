"""What hash encoding must do beyond agreeing with its reference."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gtalk.ops import GridSpec, hash_encode
from gtalk.ops.reference.hash_encode import hash_encode as reference
from tests.ops.cases import SPECS, normal, uniform


def test_a_linear_function_on_dense_levels_is_reproduced() -> None:
    spec = GridSpec(3, (4, 7, 9), 12)
    rows = []
    for res in spec.resolutions:
        z, y, x = torch.meshgrid(*[torch.arange(res + 1) / res] * 3, indexing="ij")
        rows.append(torch.stack([x + 2 * y - 3 * z, 5 - x], -1).reshape(-1, 2))
    points = uniform(200, 3)
    out = hash_encode(points, torch.cat(rows).float(), spec).reshape(200, 3, 2)
    wanted = torch.stack([points @ torch.tensor([1.0, 2.0, -3.0]), 5 - points[:, 0]], -1)
    torch.testing.assert_close(out, wanted[:, None].expand_as(out), atol=1e-5, rtol=1e-5)


def test_points_outside_take_the_border() -> None:
    for spec in SPECS.values():
        table = normal(spec.n_entries, spec.n_features)
        points = 3.0 * uniform(100, spec.dim) - 1.0
        torch.testing.assert_close(
            hash_encode(points, table, spec), hash_encode(points.clamp(0, 1), table, spec), atol=1e-4, rtol=1e-4
        )
        points.requires_grad_()
        hash_encode(points, table, spec).sum().backward()
        assert points.grad is not None
        outside = (points < 0) | (points > 1)
        assert (points.grad[outside] == 0).all() and (points.grad[~outside] != 0).any()


def test_corners_and_borders_stay_in_the_table() -> None:
    for spec in SPECS.values():
        table = normal(spec.n_entries, spec.n_features)
        corners = torch.cartesian_prod(*[torch.tensor([0.0, 0.5, 1.0])] * spec.dim)
        for kind in (table, table.bfloat16()):
            torch.testing.assert_close(
                hash_encode(corners, kind, spec), reference(corners, kind, spec), atol=1e-3, rtol=1e-3
            )


def test_strange_points_are_harmless() -> None:
    spec = SPECS["3d"]
    points = torch.tensor([[float("nan")] * 3, [float("inf")] * 3, [-float("inf"), 0.5, 1e30]])
    table = normal(spec.n_entries, 2).requires_grad_()
    out = hash_encode(points, table, spec)
    assert out.isfinite().all()
    out.sum().backward()


def test_bfloat16_reads_rounded_numbers() -> None:
    for spec in SPECS.values():
        table, points = normal(spec.n_entries, spec.n_features), uniform(300, spec.dim)
        got = hash_encode(points, table.bfloat16(), spec)
        assert got.dtype == torch.float32
        torch.testing.assert_close(got, hash_encode(points, table.bfloat16().float(), spec), atol=1e-5, rtol=1e-5)


@settings(deadline=None, max_examples=20)
@given(log2=st.integers(1, 12), finest=st.integers(2, 300), levels=st.integers(1, 20), dim=st.sampled_from([2, 3]))
def test_any_grid(log2: int, finest: int, levels: int, dim: int) -> None:
    spec = GridSpec.geometric(dim, levels, 2, finest, log2)
    assert spec.offsets[-1] == spec.n_entries == sum(spec.sizes) and spec.output_size == 2 * levels
    table, points = normal(spec.n_entries, 2), uniform(17, dim)
    torch.testing.assert_close(hash_encode(points, table, spec), reference(points, table, spec), atol=5e-4, rtol=5e-4)


def test_gradient_reaches_the_table_exactly() -> None:
    """The sum over entries of a table's gradient is the sum of the outputs' gradients: weights sum to one."""
    spec = SPECS["3d"]
    table = normal(spec.n_entries, 2).requires_grad_()
    grad = normal(500, spec.output_size, seed=5)
    hash_encode(uniform(500, 3), table, spec).backward(grad)
    assert table.grad is not None
    for level in range(spec.n_levels):
        got = table.grad[spec.offsets[level] : spec.offsets[level + 1]].sum(0)
        torch.testing.assert_close(got, grad[:, 2 * level : 2 * level + 2].sum(0), atol=2e-3, rtol=1e-4)


def test_neighbours_along_x_are_neighbours_in_memory() -> None:
    spec = GridSpec(3, (500,), 10)
    vertex = torch.randint(0, 400, (100, 3))
    step = spec.vertex_entries(0, vertex + torch.tensor([1, 0, 0])) - spec.vertex_entries(0, vertex)
    assert set(step.tolist()) <= {1, 1 - 1024}
