"""A radiance field of one instant, traced along rays. Pure functions over gtalk.ops."""

from __future__ import annotations

from typing import NamedTuple

import torch

from gtalk.compute.device import sent
from gtalk.ops import composite, march, render_rays
from gtalk.ops.adapters.encoding import Encoding
from gtalk.shapes import Float, Shaped, UInt8

DENSITY_BIAS = -2.0  # a fresh field is thin
OPAQUE = 5e-3  # transmittance below which a ray is not followed at inference
UNIT_CUBE = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])


class FrameField(NamedTuple):
    """Everything a ray meets, at one instant: blended tables and two small networks."""

    encoding: Encoding
    table: Shaped[torch.Tensor, "E F"]
    """float32, or bfloat16 to look only."""
    density_w0: Float[torch.Tensor, "H I"]
    density_b0: Float[torch.Tensor, " H"]
    density_w1: Float[torch.Tensor, "16 H"]
    density_b1: Float[torch.Tensor, " 16"]
    colour_w0: Float[torch.Tensor, "C 15"]
    colour_b0: Float[torch.Tensor, " C"]
    colour_w1: Float[torch.Tensor, "3 C"]
    colour_b1: Float[torch.Tensor, " 3"]
    warp: Float[torch.Tensor, "3 G G G"]
    """Displacement (x, y, z) of points in the unit cube, at control points indexed [z, y, x]."""


class Volume(NamedTuple):
    """Where the field lives and how it is stepped through."""

    occupied: UInt8[torch.Tensor, "R R R"]
    origin_m: tuple[float, float, float]
    extent_m: float
    step_m: float
    max_samples: int


class Traced(NamedTuple):
    """What N rays saw, and their S samples."""

    rgb: Float[torch.Tensor, "N 3"]
    """Premultiplied by alpha."""
    alpha: Float[torch.Tensor, " N"]
    depth_m: Float[torch.Tensor, " N"]
    """Mean depth of what was seen, premultiplied by alpha."""
    weights: Float[torch.Tensor, " S"]
    depths_m: Float[torch.Tensor, " S"]
    ray_of: torch.Tensor
    """-1 for what is left of the capacity."""
    points: Float[torch.Tensor, "S 3"]
    """Samples in the unit cube."""


def trace(
    field: FrameField,
    volume: Volume,
    origin_m: Float[torch.Tensor, " 3"],
    directions_m: Float[torch.Tensor, "N 3"],
    near_m: Float[torch.Tensor, " N"],
    far_m: Float[torch.Tensor, " N"],
    capacity: int | None = None,
) -> Traced:
    """Colours, coverage and depth along rays of head space (directions of unit length along the axis).

    Samples lie at near + (i + 1/2) * step, below far. `capacity`: as of `march`.
    """
    origins, directions = _in_unit_cube(volume, origin_m, directions_m)
    depths, ray_of, starts = march(
        origins, directions, near_m, far_m, volume.occupied, UNIT_CUBE, volume.step_m, volume.max_samples,
        capacity=capacity,
    )  # fmt: skip
    points = origins[0] + depths[:, None] * directions[ray_of]
    encoded = field.encoding.encode(points + displacement(field.warp, points), field.table)
    weights, biases = [field.density_w0, field.density_w1], [field.density_b0, field.density_b1]
    out = field.encoding.network(encoded, weights, biases)
    density = density_of(out[:, 0]) / volume.step_m
    seen, alpha, depth, weights = composite(density, out[:, 1:].contiguous(), depths, volume.step_m, starts)
    rgb = shade(field, seen, alpha)
    return Traced(rgb, alpha, depth, weights, depths, ray_of, points)


@torch.no_grad()
def query(
    field: FrameField,
    volume: Volume,
    origin_m: Float[torch.Tensor, " 3"],
    directions_m: Float[torch.Tensor, "N 3"],
    near_m: Float[torch.Tensor, " N"],
    far_m: Float[torch.Tensor, " N"],
) -> tuple[Float[torch.Tensor, "N 3"], Float[torch.Tensor, " N"], Float[torch.Tensor, " N"]]:
    """`trace` for inference: the same (rgb, alpha, depth) in one go, without samples in memory.

    A ray ends where it is all but opaque, and its colour and coverage are scaled to what was left out.
    """
    if not field.encoding.fused:
        traced = trace(field, volume, origin_m, directions_m, near_m, far_m)
        return traced.rgb, traced.alpha, traced.depth_m
    origins, directions = _in_unit_cube(volume, origin_m, directions_m)
    seen, alpha, depth = render_rays(
        origins,
        directions,
        near_m,
        far_m,
        volume.occupied,
        UNIT_CUBE,
        volume.step_m,
        volume.max_samples,
        field.table,
        field.encoding.spec,
        [field.density_w0, field.density_w1],
        [field.density_b0, field.density_b1],
        DENSITY_BIAS,
        OPAQUE,
        field.warp,
    )
    ended = alpha > 1.0 - OPAQUE
    scale = torch.where(ended, 1.0 / alpha.clamp_min(0.5), torch.ones_like(alpha))
    return shade(field, seen, alpha) * scale[:, None], alpha * scale, depth * scale


def _in_unit_cube(
    volume: Volume, origin_m: torch.Tensor, directions_m: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Origins, all the same as of one camera, and directions in the volume's unit cube."""
    corner = sent(volume.origin_m, origin_m)
    return ((origin_m - corner) / volume.extent_m).expand_as(directions_m), directions_m / volume.extent_m


def displacement(
    warp: Float[torch.Tensor, "3 G G G"], points: Float[torch.Tensor, "S 3"]
) -> Float[torch.Tensor, "S 3"]:
    """Trilinear between control points that reach from face to face of the unit cube."""
    places = (2.0 * points - 1.0)[None, None, None]
    moved = torch.nn.functional.grid_sample(warp[None], places, padding_mode="border", align_corners=True)
    return moved[0, :, 0, 0].T


def density_of(logit: Float[torch.Tensor, " S"]) -> Float[torch.Tensor, " S"]:
    """Optical thickness of one step."""
    return torch.nn.functional.softplus(logit + DENSITY_BIAS)


def shade(
    field: FrameField, seen: Float[torch.Tensor, "N 15"], alpha: Float[torch.Tensor, " N"]
) -> Float[torch.Tensor, "N 3"]:
    """Premultiplied colour of composited features."""
    mean = seen / alpha.clamp_min(1e-3)[:, None]
    weights, biases = [field.colour_w0, field.colour_w1], [field.colour_b0, field.colour_b1]
    logits = field.encoding.network(mean, weights, biases)
    return torch.sigmoid(logits) * alpha[:, None]
