"""Gaussian splatting in plain differentiable torch: the numerical twin of csrc/splat.

Conventions are gsplat's: quaternions wxyz, log scales, opacity logits, 0.3 px^2 added to every splat's
covariance, alpha clamped at 0.999 and ignored below 1/255, premultiplied accumulation front to back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from gtalk.geometry.quaternion import rotation_matrices
from gtalk.shapes import Float, Int

CHANNELS = 16
POSITION, LOG_SCALE, QUATERNION, OPACITY = slice(0, 3), slice(3, 6), slice(6, 10), slice(10, 11)
COLOUR, SKIN = slice(11, 14), slice(14, 15)
BLUR_PX2 = 0.3
MAX_ALPHA, MIN_ALPHA, MIN_T = 0.999, 1.0 / 255.0, 1e-4
NEAR_M = 0.01
COLUMN_BLOCK = 256  # Gaussians whose sparse columns lie together


class Splats(NamedTuple):
    """Gaussians as the image sees them."""

    centre_px: Float[torch.Tensor, "N 2"]
    covariance_px: Float[torch.Tensor, "N 3"]
    """xx, xy, yy, blur included."""
    opacity: Float[torch.Tensor, " N"]
    colour: Float[torch.Tensor, "N 3"]
    depth_m: Float[torch.Tensor, " N"]


def deform(
    base: Float[torch.Tensor, "N 16"],
    basis: Float[torch.Tensor, "N K 16"],
    code: Float[torch.Tensor, " K"],
    limit: Float[torch.Tensor, "16"],
) -> Float[torch.Tensor, "N 16"]:
    """Base + clamp(code @ basis, -limit, limit)."""
    moved = torch.einsum("k,nkc->nc", code, basis.to(base.dtype))
    return base + torch.maximum(torch.minimum(moved, limit), -limit)


def express(
    base: Float[torch.Tensor, "N 16"],
    basis: Float[torch.Tensor, "N K 16"],
    codes: Float[torch.Tensor, "G K"],
    ends: Sequence[int],
    limit: Float[torch.Tensor, "16"],
    ranges: Float[torch.Tensor, "2 N 16"] | None,
    share: float,
    held: Float[torch.Tensor, "N 16"] | None,
    starts: Int[torch.Tensor, " S"],
    rows: Int[torch.Tensor, " M"],
    values: Float[torch.Tensor, "M 16"],
    coefs: Float[torch.Tensor, " C"],
) -> Float[torch.Tensor, "N 16"]:
    """Groups of rows moved by a code each, looks kept within `ranges`, `held` and sparse columns on top."""
    parts = zip([0, *ends], ends, codes, strict=False)
    out = torch.cat([deform(base[a:b], basis[a:b], code, limit) for a, b, code in parts])
    if ranges is not None:
        out = torch.lerp(out, torch.minimum(torch.maximum(out, ranges[0]), ranges[1]), share)
    if held is not None:
        out = out + held
    by_block = coefs.to(base.dtype).repeat((len(starts) - 1) // max(len(coefs), 1))
    share_of = torch.repeat_interleave(by_block, (starts[1:] - starts[:-1]).long())
    return out.index_add(0, rows.long(), values.to(base.dtype) * share_of[:, None])


def place(
    gaussians: Float[torch.Tensor, "*B N 16"], transforms: Float[torch.Tensor, "*B 2 3 4"]
) -> tuple[Float[torch.Tensor, "*B N 3"], Float[torch.Tensor, "*B N 3 3"]]:
    """Centres and covariances in the camera's frame, by linear blend skinning of the two transforms."""
    share = torch.sigmoid(gaussians[..., SKIN])[..., None]
    head, torso = transforms[..., 0, None, :, :], transforms[..., 1, None, :, :]
    blended = head + share * (torso - head)
    centres = (blended[..., :3] @ gaussians[..., POSITION, None])[..., 0] + blended[..., 3]
    turned = rotation_matrices(gaussians[..., QUATERNION].reshape(-1, 4)).reshape(*gaussians.shape[:-1], 3, 3)
    half = blended[..., :3] @ (turned * torch.exp(gaussians[..., None, LOG_SCALE]))
    return centres, half @ half.transpose(-1, -2)


def project(
    gaussians: Float[torch.Tensor, "N 16"],
    transforms: Float[torch.Tensor, "2 3 4"],
    intrinsics: Float[torch.Tensor, "4"],
    width: int,
    height: int,
) -> Splats:
    """Perspective projection of centres and, to first order, of covariances. `intrinsics`: fx, fy, cx, cy."""
    centres, covariances = place(gaussians, transforms)
    covariance, centre = flatten(centres, covariances, intrinsics, width, height)
    return Splats(centre, covariance, torch.sigmoid(gaussians[:, 10]), gaussians[:, COLOUR], centres[:, 2])


def flatten(
    centres: Float[torch.Tensor, "N 3"],
    covariances: Float[torch.Tensor, "N 3 3"],
    intrinsics: Float[torch.Tensor, "4"],
    width: int,
    height: int,
) -> tuple[Float[torch.Tensor, "N 3"], Float[torch.Tensor, "N 2"]]:
    """Covariances (xx, xy, yy, blur included) and centres in pixels."""
    fx, fy, cx, cy = intrinsics.unbind()
    z = centres[:, 2].clamp_min(NEAR_M)
    slope_x, slope_y = centres[:, 0] / z, centres[:, 1] / z
    slack_x, slack_y = 0.15 * width / fx, 0.15 * height / fy
    bound_x = torch.maximum(torch.minimum(slope_x, (width - cx) / fx + slack_x), -cx / fx - slack_x)
    bound_y = torch.maximum(torch.minimum(slope_y, (height - cy) / fy + slack_y), -cy / fy - slack_y)
    zero = torch.zeros_like(z)
    jacobian = torch.stack(
        [torch.stack([fx / z, zero, -fx * bound_x / z], -1), torch.stack([zero, fy / z, -fy * bound_y / z], -1)], -2
    )
    flat = jacobian @ covariances @ jacobian.transpose(1, 2)
    covariance = torch.stack([flat[:, 0, 0] + BLUR_PX2, flat[:, 0, 1], flat[:, 1, 1] + BLUR_PX2], -1)
    return covariance, torch.stack([slope_x * fx + cx, slope_y * fy + cy], -1)


def rasterise(
    gaussians: Float[torch.Tensor, "N 16"],
    transforms: Float[torch.Tensor, "2 3 4"],
    intrinsics: Float[torch.Tensor, "4"],
    width: int,
    height: int,
    tile: int = 32,
) -> Float[torch.Tensor, "5 H W"]:
    """Planes: premultiplied red, green, blue; transmittance; sum of weight times depth."""
    return draw(project(gaussians, transforms, intrinsics, width, height), width, height, tile)


def draw(splats: Splats, width: int, height: int, tile: int = 32) -> Float[torch.Tensor, "5 H W"]:
    """`rasterise` after projection."""
    xx, xy, yy = splats.covariance_px.unbind(-1)
    reach = 2.0 * torch.log((splats.opacity / MIN_ALPHA).clamp_min(1e-12))
    half = torch.sqrt(reach.clamp_min(0.0)[:, None] * torch.stack([xx, yy], -1)).detach()
    seen = (splats.depth_m >= NEAR_M) & (reach > 0) & (xx * yy - xy * xy > 1e-12)
    order = torch.argsort(splats.depth_m.detach(), stable=True)
    order = order[seen[order]]
    low, high = (splats.centre_px.detach() - half)[order], (splats.centre_px.detach() + half)[order]
    strips = []
    for top in range(0, height, tile):
        tiles = []
        for left in range(0, width, tile):
            right, bottom = min(left + tile, width), min(top + tile, height)
            hit = (high[:, 0] >= left) & (low[:, 0] <= right) & (high[:, 1] >= top) & (low[:, 1] <= bottom)
            tiles.append(_blend(Splats(*(value[order[hit]] for value in splats)), left, top, right, bottom))
        strips.append(torch.cat(tiles, -1))
    return torch.cat(strips, -2)


def _blend(splats: Splats, left: int, top: int, right: int, bottom: int) -> torch.Tensor:
    """Planes [5, bottom - top, right - left] of splats in depth order."""
    like = splats.centre_px
    y, x = torch.meshgrid(
        torch.arange(top, bottom, dtype=like.dtype, device=like.device) + 0.5,
        torch.arange(left, right, dtype=like.dtype, device=like.device) + 0.5,
        indexing="ij",
    )
    dx, dy = x.reshape(1, -1) - like[:, :1], y.reshape(1, -1) - like[:, 1:]
    xx, xy, yy = (value[:, None] for value in splats.covariance_px.unbind(-1))
    sigma = 0.5 * (yy * dx * dx - 2.0 * xy * dx * dy + xx * dy * dy) / (xx * yy - xy * xy)
    alpha = (splats.opacity[:, None] * torch.exp(-sigma)).clamp_max(MAX_ALPHA)
    alpha = torch.where(alpha >= MIN_ALPHA, alpha, torch.zeros_like(alpha))
    after = torch.cumprod(1.0 - alpha, 0)
    before = torch.cat([torch.ones_like(alpha[:1]), after[:-1]])[: len(alpha)]
    weight = before * alpha
    end = after[-1] if len(after) else torch.ones_like(dx[0] if len(dx) else x.reshape(-1))
    values = torch.cat([splats.colour, splats.depth_m[:, None]], -1)
    seen = values.T @ weight
    return torch.cat([seen[:3], end[None], seen[3:]]).reshape(5, bottom - top, right - left)
