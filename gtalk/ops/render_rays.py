"""An image's rays in one go, for inference: march, encode, MLP and composite, fused."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from gtalk.ops import checks, native
from gtalk.ops.grid import GridSpec
from gtalk.ops.hash_encode import check as check_encoding
from gtalk.ops.march import check as check_march
from gtalk.ops.mlp import check as check_network
from gtalk.ops.reference import render_rays as reference
from gtalk.shapes import Float, UInt8


@torch.no_grad()
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
    """`march`, `hash_encode` of the points in the box's unit cube, `mlp` and `composite`, without samples in memory.

    The network's first output o is a density: a sample's optical thickness (sigma * dt) is
    softplus(o + density_bias). Its other outputs are the features that are composited.

    Args:
        origins, directions, near, far, occupancy, aabb, step, max_samples: as for `march`.
        table, spec: as for `hash_encode`; dim 3, float32 or bfloat16.
        weights, biases: as for `mlp`, from spec.output_size to 1 + C numbers; ReLU between layers.
        density_bias: shift of the density's logit.
        early_stop: a ray ends where its transmittance falls below this.
        warp: displacement (x, y, z) of points in the unit cube before they are encoded, trilinear between
            control points [z, y, x] that reach from face to face.

    Returns:
        features [R, C], alpha and depth (premultiplied by alpha) of each ray. No gradients.
    """
    weights, biases = list(weights), list(biases)
    check_march(origins, directions, near, far, occupancy, aabb, step, max_samples, None)
    check_encoding(origins[:0], table, spec)
    checks.require(table.dtype != torch.float64, "table", "float32 or bfloat16", table.dtype)
    check_network(origins.new_empty(0, spec.output_size), weights, biases, "relu")
    if warp is not None:
        checks.has_shape("warp", warp, 3, None, None, None)
        checks.has_dtype("warp", warp, torch.float32)
        checks.require(
            min(warp.shape[1:]) == max(warp.shape[1:]) >= 2, "warp", "shape [3, W, W, W], W >= 2", list(warp.shape)
        )
        checks.on_one_device(["origins", "warp"], [origins, warp])
    if not native.available(origins):
        return reference.render_rays(
            origins, directions, near, far, occupancy, aabb, step, max_samples, table, spec, weights, biases,
            density_bias, early_stop, warp,
        )  # fmt: skip
    return torch.ops.gtalk.render_rays(
        origins, directions, near, far, occupancy, aabb, step, max_samples, table, spec.resolutions,
        spec.log2_table_size, weights, biases, density_bias, early_stop, warp,
    )  # fmt: skip


@native.fake("render_rays")
def _fake(
    origins: torch.Tensor,
    directions: torch.Tensor,
    near: torch.Tensor,
    far: torch.Tensor,
    occupancy: torch.Tensor,
    aabb: torch.Tensor,
    step: float,
    max_samples: int,
    table: torch.Tensor,
    resolutions: list[int],
    log2_table_size: int,
    weights: list[torch.Tensor],
    biases: list[torch.Tensor],
    density_bias: float,
    early_stop: float,
    warp: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rays = origins.shape[0]
    return origins.new_empty(rays, weights[-1].shape[0] - 1), origins.new_empty(rays), origins.new_empty(rays)
