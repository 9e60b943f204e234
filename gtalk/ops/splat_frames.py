"""Splats of several frames at once: one product of matrices, one rasteriser call, one step of the optimiser.

What a GPU needs to be busy: a frame alone is some hundred small kernels. On CUDA gsplat draws all frames in one call
and keeps what its own backward needs; on the CPU, and in its tests, frames are drawn one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from gtalk.compute.device import sent
from gtalk.ops import checks, native, splat, splat_torch
from gtalk.ops.reference import splat as reference
from gtalk.shapes import Float, Shaped, UInt8

CHANNELS = reference.CHANNELS
Gradients = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""From those of planes [B,4+,H,S] to those of Gaussians [B,N,16] and transforms [B,2,3,4]."""


def columns_of(basis: Float[torch.Tensor, "N K 16"], dtype: torch.dtype | None = None) -> Shaped[torch.Tensor, "K N16"]:
    """A motion basis as the matrix that codes are multiplied with, in one copy. `dtype`: bfloat16 for tensor cores."""
    n, k, c = basis.shape
    out = torch.empty(k, n, c, dtype=dtype or basis.dtype, device=basis.device)
    return out.copy_(basis.transpose(0, 1)).reshape(k, n * c)


def deform_frames(
    base: Float[torch.Tensor, "N 16"],
    columns: Shaped[torch.Tensor, "_ _"],
    codes: Float[torch.Tensor, "B K"],
    limit: Float[torch.Tensor, "16"],
) -> Float[torch.Tensor, "B N 16"]:
    """`splat.deform` at B codes; `columns` as of `columns_of`, whose type is that of the product."""
    checks.has_shape("columns", columns, codes.shape[1], base.numel())
    checks.on_one_device(["base", "columns", "codes", "limit"], [base, columns, codes, limit])
    moved = (codes.to(columns.dtype) @ columns).to(base.dtype).reshape(len(codes), *base.shape)
    return base + torch.maximum(torch.minimum(moved, limit), -limit)


def deform_frames_backward(
    base: Float[torch.Tensor, "N 16"],
    columns: Shaped[torch.Tensor, "_ _"],
    limit: Float[torch.Tensor, "16"],
    out: Float[torch.Tensor, "B N 16"],
    d_out: Float[torch.Tensor, "B N 16"],
) -> tuple[Float[torch.Tensor, "B N 16"], Float[torch.Tensor, "B K"]]:
    """As `splat.deform_backward`: what passes the clamp, and the gradients of the codes."""
    inner = torch.where((out - base).abs() < 0.9999 * limit, d_out, torch.zeros_like(d_out))
    return inner, (inner.flatten(1).to(columns.dtype) @ columns.T).to(base.dtype)


def rasterise_frames(
    gaussians: Float[torch.Tensor, "B N 16"],
    transforms: Float[torch.Tensor, "B 2 3 4"],
    intrinsics: Sequence[float],
    width: int,
    height: int,
) -> tuple[Float[torch.Tensor, "B 5 H S"], Gradients]:
    """Planes of all frames as `splat.rasterise_planes`, and what gives the gradients, from the record of this pass."""
    if gaussians.device.type == "cpu":
        drawn = [
            splat.rasterise_planes(g, t, intrinsics, width, height) for g, t in zip(gaussians, transforms, strict=True)
        ]

        def one_by_one(d_planes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            parts = [
                splat.rasterise_backward(g, t, intrinsics, width, planes, saved, d)
                for g, t, (planes, saved), d in zip(gaussians, transforms, drawn, d_planes, strict=True)
            ]
            return torch.stack([p[0] for p in parts]), torch.stack([p[1] for p in parts])

        return torch.stack([planes for planes, _ in drawn]), one_by_one
    return recorded(gaussians, transforms, intrinsics, width, height)


def recorded(
    gaussians: Float[torch.Tensor, "B N 16"],
    transforms: Float[torch.Tensor, "B 2 3 4"],
    intrinsics: Sequence[float],
    width: int,
    height: int,
) -> tuple[Float[torch.Tensor, "B 5 H S"], Gradients]:
    """`rasterise_frames` by gsplat: drawn once, in one call."""
    with torch.enable_grad():
        inputs = gaussians.detach().requires_grad_(), transforms.detach().requires_grad_()
        seen = splat_torch.gsplat_planes(*inputs, intrinsics, width, height)

    def played_back(d_planes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        d_gaussians, d_transforms = torch.autograd.grad(seen[:, :4], inputs, d_planes[:, :4, :, :width])
        return d_gaussians, d_transforms

    return F.pad(seen.detach(), (0, splat.row_stride(width) - width)), played_back


def framed_plates(
    plate: Float[torch.Tensor, "3 h s"],
    plate_width: int,
    framings: Sequence[Sequence[float]],
    width: int,
    height: int,
) -> Float[torch.Tensor, "B 3 H S"]:
    """`splat.framed_plate` at B framings."""
    moves = sent(framings, plate)
    dx, dy, log_scale = moves.unbind(1)
    shrink = torch.exp(-log_scale)[:, None]
    y = torch.arange(height, device=plate.device) + 0.5 - height / 2 - dy[:, None] * height
    x = torch.arange(width, device=plate.device) + 0.5 - width / 2 - dx[:, None] * height
    y, x = y * (2 * shrink / plate.shape[1]), x * (2 * shrink / plate_width)
    grid = torch.stack([x[:, None, :].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)], -1).to(plate.dtype)
    whole = plate[None, ..., :plate_width].expand(len(moves), -1, -1, -1)
    framed = F.grid_sample(whole, grid, "bilinear", "border", False)
    return F.pad(framed, (0, splat.row_stride(width) - width))


def photo_loss_frames(
    planes: Float[torch.Tensor, "B C H S"],
    background: Float[torch.Tensor, "B 3 H S"],
    truth: UInt8[torch.Tensor, "B H W 3"],
    matte: UInt8[torch.Tensor, "B H W"],
    labels: UInt8[torch.Tensor, "B H W"],
    weights: Float[torch.Tensor, "256"],
    dssim_share: float,
    coverage_weight: float,
) -> tuple[Float[torch.Tensor, "B 4 H S"], Float[torch.Tensor, "B 4"]]:
    """`splat.photo_loss` of B frames, each by itself."""
    return splat_torch.photo_loss(planes, background, truth, matte, labels, weights, dssim_share, coverage_weight)


def adam_frames_(
    base: Float[torch.Tensor, "N 16"],
    basis: Float[torch.Tensor, "N K 16"],
    gradients: Float[torch.Tensor, "B N 16"],
    inner: Float[torch.Tensor, "B N 16"],
    codes: Float[torch.Tensor, "B K"],
    first: Float[torch.Tensor, "N 16"],
    second: Float[torch.Tensor, "N 16"],
    basis_first: Float[torch.Tensor, "N K 16"],
    rates: Float[torch.Tensor, "16"],
    basis_rate: float,
    kept: Float[torch.Tensor, "16"],
    betas: tuple[float, float],
    epsilon: float,
    step: int,
) -> None:
    """One step of `splat.adam_` and `splat.adam_basis_` from the mean gradient of B frames, in place.

    gradients, inner: of the Gaussians of each frame, before and after the clamp. `basis_rate` multiplies `rates`.
    """
    checks.has_shape("gradients", gradients, None, *base.shape)
    checks.has_shape("inner", inner, *gradients.shape)
    checks.has_shape("codes", codes, len(gradients), basis.shape[1])
    own_codes = codes.clone(memory_format=torch.contiguous_format)  # a part of longer ones begins anywhere
    arguments: tuple[Any, ...] = (
        base, basis, gradients.contiguous(), inner.contiguous(), own_codes, first, second, basis_first, rates,
        basis_rate, kept, *betas, epsilon, step,
    )  # fmt: skip
    compiled = getattr(torch.ops.gtalk, "splat_adam_frames_", None) if native.available(base) else None
    (compiled or _adam_frames)(*arguments)


def _adam_frames(
    base: torch.Tensor,
    basis: torch.Tensor,
    gradients: torch.Tensor,
    inner: torch.Tensor,
    codes: torch.Tensor,
    first: torch.Tensor,
    second: torch.Tensor,
    basis_first: torch.Tensor,
    rates: torch.Tensor,
    basis_rate: float,
    kept: torch.Tensor,
    beta1: float,
    beta2: float,
    epsilon: float,
    step: int,
) -> None:
    """The same in torch."""
    splat_torch.KERNELS["splat_adam_"](base, gradients.mean(0), first, second, rates, beta1, beta2, epsilon, step)
    wanted = torch.einsum("bk,bnc->nkc", codes, inner) / len(codes)
    basis_first.mul_(beta1).add_(wanted, alpha=1.0 - beta1)
    size = (second / (1.0 - beta2**step)).sqrt_().add_(epsilon)
    basis.mul_(kept).sub_((basis_rate * rates / size / (1.0 - beta1**step))[:, None] * basis_first)


@native.fake("splat_adam_frames_")
def _fake(*arguments: Any) -> None:
    return None
