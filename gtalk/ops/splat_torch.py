"""The splatting operators in torch: for CUDA, where gsplat rasterises, and for a CPU without the extension.

Everything but the rasteriser is a few matrix products and reductions, which torch does well on a GPU. Gradients
that the extension computes by hand come from autograd here: the forward pass is done again for them.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from gtalk.compute.device import sent
from gtalk.ops.reference import splat as reference

WINDOW = 7


def _deform(base, basis, code, limit):
    return reference.deform(base, basis, code.to(base.dtype), limit)


def _express(base, basis, codes, ends, limit, ranges, share, held, starts, rows, values, coefs, spare=0):
    out = reference.express(base, basis, codes, ends, limit, ranges, share, held, starts, rows, values, coefs)
    return torch.cat([out, out.new_empty(spare, reference.CHANNELS)])


def _deform_backward(base, basis, limit, out, d_out):
    inner = torch.where((out - base).abs() < 0.9999 * limit, d_out, torch.zeros_like(d_out))
    return inner, torch.einsum("nc,nkc->k", inner, basis)


def _planes(gaussians, transforms, intrinsics, width, height):
    """Planes [5, H, W], differentiable."""
    if not gaussians.is_cuda:
        return reference.rasterise(gaussians, transforms, gaussians.new_tensor(intrinsics), width, height)
    return gsplat_planes(gaussians, transforms, intrinsics, width, height)


def gsplat_planes(gaussians, transforms, intrinsics, width, height):
    """Planes [*B, 5, H, W] of Gaussians [*B, N, 16] by one call of gsplat (from 1.5 on, for batches).

    It is given centres and covariances that are already in the camera's frame, so that transforms get gradients too.
    """
    from gsplat import rasterization

    centres, covariances = reference.place(gaussians, sent(transforms, gaussians))
    batch, count = gaussians.shape[:-2], gaussians.shape[-2]
    fx, fy, cx, cy = intrinsics
    lens = sent([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]], gaussians).expand(*batch, 1, 3, 3)
    eye = torch.eye(4, device=gaussians.device).expand(*batch, 1, 4, 4)
    unused = torch.ones(*batch, count, 4, device=gaussians.device)
    seen, alpha, _ = rasterization(
        centres, unused, unused[..., :3], torch.sigmoid(gaussians[..., 10]), gaussians[..., reference.COLOUR], eye,
        lens, width, height, near_plane=reference.NEAR_M, eps2d=reference.BLUR_PX2, packed=False, covars=covariances,
        render_mode="RGB+D",
    )  # fmt: skip
    seen, passed = seen[..., 0, :, :, :], 1.0 - alpha[..., 0, :, :, :]
    return torch.cat([seen[..., :3], passed, seen[..., 3:]], -1).movedim(-1, -3)


def _stride(width: int) -> int:
    return (width + 15) // 16 * 16


def _rasterise(gaussians, transforms, intrinsics, width, height):
    with torch.no_grad():  # who wants gradients on CUDA calls `recorded`, which draws once
        planes = _planes(gaussians, transforms, intrinsics, width, height)
    none = gaussians.new_empty(0, dtype=torch.int32)
    tiles = _stride(width) // 16 * ((height + 15) // 16)
    padded = F.pad(planes, (0, _stride(width) - width)).contiguous()
    return padded, gaussians.new_empty(0, 16), none.new_zeros(2, tiles), none


def _rasterise_backward(gaussians, transforms, intrinsics, width, height, planes, splats, ranges, listed, d_planes):
    with torch.enable_grad():
        inputs = [gaussians.detach().requires_grad_(), transforms.detach().requires_grad_()]
        again = _planes(inputs[0], inputs[1], intrinsics, width, height)
        d_gaussians, d_transforms = torch.autograd.grad((again[:4] * d_planes[:4, :, :width]).sum(), inputs)
    return d_gaussians, d_transforms


def recorded(gaussians, transforms, intrinsics, width, height):
    """Planes [5, H, S], and what `played_back` needs: the rasteriser's own record, so that it draws only once."""
    with torch.enable_grad():
        inputs = gaussians.detach().requires_grad_(), transforms.detach().requires_grad_()
        planes = _planes(*inputs, intrinsics, width, height)
    padded = F.pad(planes.detach(), (0, _stride(width) - width)).contiguous()
    return padded, (planes, *inputs)


def played_back(saved, width, d_planes):
    """Gradients of Gaussians and transforms."""
    planes, *inputs = saved
    d_gaussians, d_transforms = torch.autograd.grad(planes[:4], inputs, d_planes[:4, :, :width])
    return d_gaussians, d_transforms


def _photo_loss(planes, background, truth, matte, labels, weights, dssim_share, coverage_weight):
    planes, background, truth, matte, labels = (v[None] for v in (planes, background, truth, matte, labels))
    gradient, terms = photo_loss(planes, background, truth, matte, labels, weights, dssim_share, coverage_weight)
    return gradient[0], terms[0]


def photo_loss(planes, background, truth, matte, labels, weights, dssim_share, coverage_weight):
    """Of B images, each by itself: gradients [B, 4, H, S] and parts [B, 4]."""
    width = truth.shape[2]
    with torch.enable_grad():
        own = planes[:, :4].detach().requires_grad_()
        x = (own[:, :3] + own[:, 3:] * background)[..., :width]
        y = truth.permute(0, 3, 1, 2).to(x.dtype) / 255.0
        l1 = ((x - y).abs().mean(1) * weights[labels.long()]).mean((1, 2))
        wanted = 1.0 - matte.to(x.dtype) / 255.0
        coverage = ((own[:, 3, :, :width] - wanted) ** 2).mean((1, 2))
        fits = min(x.shape[2:]) >= WINDOW and dssim_share > 0
        dssim = (1.0 - _ssim(x, y)) / 2.0 if fits else x.new_zeros(len(x))
        loss = (1.0 - dssim_share) * l1 + dssim_share * dssim + coverage_weight * coverage
        (gradient,) = torch.autograd.grad(loss.sum(), own)
    terms = [l1.detach(), dssim.detach(), coverage.detach(), ((x - y) ** 2).mean((1, 2, 3)).detach()]
    return gradient.contiguous(), torch.stack(terms, 1).double()


def _ssim(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """[B] of images [B, 3, H, W]."""
    mx, my, xx, yy, xy = (F.avg_pool2d(v, WINDOW, 1) for v in (x, y, x * x, y * y, x * y))
    covariance, variances = xy - mx * my, xx - mx**2 + yy - my**2
    seen = (2 * mx * my + 1e-4) * (2 * covariance + 9e-4) / ((mx**2 + my**2 + 1e-4) * (variances + 9e-4))
    return seen.mean((1, 2, 3))


def _adam(value, gradient, first, second, rates, beta1, beta2, epsilon, step):
    first.mul_(beta1).add_(gradient, alpha=1.0 - beta1)
    second.mul_(beta2).addcmul_(gradient, gradient, value=1.0 - beta2)
    size = (second / (1.0 - beta2**step)).sqrt_().add_(epsilon)
    value.sub_(rates * first / size / (1.0 - beta1**step))


def _adam_basis(basis, gradient, code, first, second, rates, kept, beta1, beta2, epsilon, step):
    first.mul_(beta1).add_((1.0 - beta1) * gradient[:, None] * code[:, None])
    size = (second / (1.0 - beta2**step)).sqrt_().add_(epsilon)
    basis.mul_(kept).sub_((rates / size / (1.0 - beta1**step))[:, None] * first)


def _plate(plate, plate_width, framing, width, height):
    dx, dy, log_scale = framing
    shrink = math.exp(-log_scale)
    y = (torch.arange(height, device=plate.device) + 0.5 - height / 2 - dy * height) * (2 * shrink / plate.shape[1])
    x = (torch.arange(width, device=plate.device) + 0.5 - width / 2 - dx * height) * (2 * shrink / plate_width)
    grid = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], -1).to(plate.dtype)
    framed = F.grid_sample(plate[None, ..., :plate_width], grid[None], "bilinear", "border", False)[0]
    return F.pad(framed, (0, _stride(width) - width)).contiguous()


def _frame(
    base,
    basis_a,
    code_a,
    basis_b,
    code_b,
    limit,
    transforms,
    intrinsics,
    width,
    height,
    plate,
    plate_width,
    framing,
    scale,
    as_bytes,
    base_b=None,
):
    split = len(basis_a)
    face = _deform(base[:split], basis_a, code_a, limit)
    rest = _deform(base[split:] if base_b is None else base_b, basis_b, code_b, limit)
    # Drawn at the size of the fit and then averaged or enlarged, the image has the sharpness it was fitted with.
    own = [round(v / scale) for v in (width, height)]
    lens = [v / scale for v in intrinsics]
    planes = _planes(torch.cat([face, rest]), sent(transforms, base), lens, *own)
    if own != [width, height]:
        mode = "area" if scale < 1 else "bilinear"
        planes = F.interpolate(planes[None], size=(height, width), mode=mode)[0]
    rgb, alpha = planes[:3], 1.0 - planes[3]
    if plate is not None:
        behind = _plate(plate, plate_width, framing, width, height)
        rgb = rgb + planes[3] * behind[..., :width]
    rgb = rgb.permute(1, 2, 0)
    if as_bytes:
        levels = ((v.clamp(0.0, 1.0) * 255.0 + 0.5).to(torch.uint8) for v in (rgb, alpha))
        return *(v.contiguous() for v in levels), base.new_empty(0, 0)
    depth = torch.where(alpha >= 1e-3, planes[4] / alpha.clamp_min(1e-3), torch.zeros_like(alpha))
    return rgb.contiguous(), alpha.contiguous(), depth


KERNELS = {
    "splat_deform": _deform,
    "splat_express": _express,
    "splat_deform_backward": _deform_backward,
    "splat_rasterise": _rasterise,
    "splat_rasterise_backward": _rasterise_backward,
    "splat_photo_loss": _photo_loss,
    "splat_adam_": _adam,
    "splat_adam_basis_": _adam_basis,
    "splat_plate": _plate,
    "splat_frame": _frame,
}


def register() -> torch.library.Library:
    """Give the extension's operators these as their CUDA kernels."""
    library = torch.library.Library("gtalk", "IMPL")
    for name, kernel in KERNELS.items():
        if not torch._C._dispatch_has_kernel_for_dispatch_key(f"gtalk::{name}", "CUDA"):  # else it is compiled
            library.impl(name, kernel, "CUDA")
    return library
