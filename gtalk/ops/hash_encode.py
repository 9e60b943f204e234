"""Multi-resolution hash-grid encoding of points."""

from __future__ import annotations

import torch

from gtalk.ops import checks, native
from gtalk.ops.grid import GridSpec
from gtalk.ops.reference import hash_encode as reference
from gtalk.shapes import Float


def hash_encode(
    points: Float[torch.Tensor, "N D"], table: Float[torch.Tensor, "E F"], spec: GridSpec
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
    if not native.available():
        return reference.hash_encode(points, table, spec)
    raise NotImplementedError


def check(points: torch.Tensor, table: torch.Tensor, spec: GridSpec) -> None:
    """Raise ValueError where the arguments of `hash_encode` do not fit."""
    checks.has_shape("points", points, None, spec.dim)
    checks.has_shape("table", table, spec.n_entries, spec.n_features)
    checks.has_dtype("table", table, torch.float32, torch.float64, torch.bfloat16)
    wanted = torch.float64 if table.dtype == torch.float64 else torch.float32
    checks.has_dtype("points", points, wanted)
    checks.on_one_device(["points", "table"], [points, table])
