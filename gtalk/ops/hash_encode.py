"""Multi-resolution hash-grid encoding of points."""

from __future__ import annotations

import torch

from gtalk.ops import checks, native
from gtalk.ops.grid import GridSpec
from gtalk.ops.reference import hash_encode as reference
from gtalk.shapes import Float


def hash_encode(
    points: Float[torch.Tensor, "N D"],
    table: Float[torch.Tensor, "E F"],
    spec: GridSpec,
) -> Float[torch.Tensor, "N LF"]:
    """Features of points, interpolated (bi- or trilinearly) at every level and put side by side.

    Args:
        points: in the unit square or cube; what lies outside is moved to its border.
        table: spec.n_entries rows of spec.n_features. float32 or float64; bfloat16 to read only.
        spec: the grid's shape.

    Returns:
        [N, L * F], level by level; float32 for a bfloat16 table, otherwise of the table's type.
        Gradients reach the table (unless bfloat16) and the points.

    Source: Mueller et al. 2022, "Instant Neural Graphics Primitives with a Multiresolution Hash Encoding".
    """
    check(points, table, spec)
    if not native.available(points):
        return reference.hash_encode(points, table, spec)
    return torch.ops.gtalk.hash_encode(points, table, spec.resolutions, spec.log2_table_size)


def check(points: torch.Tensor, table: torch.Tensor, spec: GridSpec) -> None:
    """Raise ValueError where the arguments of `hash_encode` do not fit."""
    checks.has_shape("points", points, None, spec.dim)
    checks.has_shape("table", table, spec.n_entries, spec.n_features)
    checks.has_dtype("table", table, torch.float32, torch.float64, torch.bfloat16)
    wanted = torch.float64 if table.dtype == torch.float64 else torch.float32
    checks.has_dtype("points", points, wanted)
    checks.on_one_device(["points", "table"], [points, table])


@native.fake("hash_encode")
def _fake(points: torch.Tensor, table: torch.Tensor, resolutions: list[int], log2_table_size: int) -> torch.Tensor:
    return points.new_empty(points.shape[0], len(resolutions) * table.shape[1])


@native.fake("hash_encode_backward")
def _fake_backward(
    grad: torch.Tensor,
    points: torch.Tensor,
    table: torch.Tensor,
    resolutions: list[int],
    log2_table_size: int,
    need_points: bool,
    need_table: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    point_grad = points.new_empty(points.shape[0] if need_points else 0, points.shape[1])
    return point_grad, table.new_empty(table.shape[0] if need_table else 0, table.shape[1])


def _setup(ctx, inputs: tuple, output: torch.Tensor) -> None:
    points, table, ctx.resolutions, ctx.log2_table_size = inputs
    ctx.save_for_backward(points, table)


def _backward(ctx, grad: torch.Tensor) -> tuple:
    points, table = ctx.saved_tensors
    need_points, need_table = ctx.needs_input_grad[:2]
    point_grad, table_grad = torch.ops.gtalk.hash_encode_backward(
        grad, points, table, ctx.resolutions, ctx.log2_table_size, need_points, need_table
    )
    return point_grad if need_points else None, table_grad if need_table else None, None, None


native.autograd("hash_encode", _backward, _setup)
