"""Hash-grid encoding in plain differentiable torch."""

from __future__ import annotations

from itertools import product

import torch

from gtalk.ops.grid import GridSpec
from gtalk.shapes import Float


def hash_encode(
    points: Float[torch.Tensor, "N D"],
    table: Float[torch.Tensor, "E F"],
    spec: GridSpec,
) -> Float[torch.Tensor, "N LF"]:
    """As `gtalk.ops.hash_encode`. A bfloat16 table is read as float32."""
    if table.dtype == torch.bfloat16:
        table = table.float()
    unit = points.to(table.dtype).clamp(0.0, 1.0)
    return torch.cat([_level(unit, table, spec, level) for level in range(spec.n_levels)], dim=1)


def _level(unit: torch.Tensor, table: torch.Tensor, spec: GridSpec, level: int) -> torch.Tensor:
    res = spec.resolutions[level]
    scaled = unit * res
    cell = scaled.detach().floor().clamp(0, res - 1).nan_to_num()
    frac = scaled - cell
    corner0 = cell.long()
    out = torch.zeros(len(unit), spec.n_features, dtype=table.dtype, device=table.device)
    for corner in product((0, 1), repeat=spec.dim):
        step = torch.tensor(corner, device=unit.device)
        weight = torch.where(step.bool(), frac, 1.0 - frac).prod(1)
        entry = spec.offsets[level] + spec.vertex_entries(level, corner0 + step)
        out = out + weight[:, None] * table[entry]
    return out
