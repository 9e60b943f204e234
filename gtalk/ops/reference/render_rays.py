"""March, encode, MLP and composite, one after the other, in plain torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from gtalk.ops.grid import GridSpec
from gtalk.ops.reference.composite import composite
from gtalk.ops.reference.hash_encode import hash_encode
from gtalk.ops.reference.march import march
from gtalk.ops.reference.mlp import mlp
from gtalk.shapes import Float, UInt8


def render_rays(
    origins: Float[torch.Tensor, "R 3"],
    directions: Float[torch.Tensor, "R 3"],
    near: Float[torch.Tensor, " R"],
    far: Float[torch.Tensor, " R"],
    occupancy: UInt8[torch.Tensor, "G G G"],
    aabb: Float[torch.Tensor, "2 3"],
    step: float,
    max_samples: int,
    table: Float[torch.Tensor, "E F"],
    spec: GridSpec,
    weights: Sequence[Float[torch.Tensor, "_ _"]],
    biases: Sequence[Float[torch.Tensor, " _"]],
    density_bias: float = -1.0,
    early_stop: float = 1e-4,
    warp: Float[torch.Tensor, "3 W W W"] | None = None,
) -> tuple[Float[torch.Tensor, "R C"], Float[torch.Tensor, " R"], Float[torch.Tensor, " R"]]:
    """As `gtalk.ops.render_rays`."""
    t, ray, offsets = march(origins, directions, near, far, occupancy, aabb, step, max_samples)
    points = origins[ray] + t[:, None] * directions[ray]
    unit = (points - aabb[0]) / (aabb[1] - aabb[0])
    if warp is not None:
        unit = unit + displacement(warp, unit)
    out = mlp(hash_encode(unit, table, spec), weights, biases)
    thickness = torch.nn.functional.softplus(out[:, 0] + density_bias)
    features, alpha, depth, _ = composite(thickness, out[:, 1:].contiguous(), t, 1.0, offsets, early_stop)
    return features, alpha, depth


def displacement(
    warp: Float[torch.Tensor, "3 W W W"], points: Float[torch.Tensor, "S 3"]
) -> Float[torch.Tensor, "S 3"]:
    """Trilinear between control points that reach from face to face of the unit cube."""
    places = (2.0 * points - 1.0)[None, None, None]
    moved = torch.nn.functional.grid_sample(warp[None], places, padding_mode="border", align_corners=True)
    return moved[0, :, 0, 0].T
