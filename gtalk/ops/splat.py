"""Gaussian splatting: motion basis, rasteriser, its loss and optimiser, and a whole frame in one call.

A Gaussian is 16 numbers: position (3, metres), log scale (3), quaternion wxyz (4), opacity logit, colour
(3), skinning logit (share of the torso's motion), and one unused; so that one is a cache line and the
motion basis is a plain multiply-add over rows. Images are planes [C, H, S] with rows of S = W rounded
up to 16. On CUDA, and without the extension, the same operators run in torch (`gtalk.ops.splat_torch`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from gtalk.ops import checks, native, splat_torch
from gtalk.ops.reference import splat as reference
from gtalk.shapes import Bool, Float, Int, UInt8

CHANNELS = reference.CHANNELS
POSITION, LOG_SCALE, QUATERNION = reference.POSITION, reference.LOG_SCALE, reference.QUATERNION
OPACITY, COLOUR, SKIN = reference.OPACITY, reference.COLOUR, reference.SKIN


def _operator(name: str) -> Callable:
    """The extension's operator, or where there is none (or none in an older build) the function that CUDA would run."""
    found = getattr(torch.ops.gtalk, name, None) if native.BUILT else None
    return found or splat_torch.KERNELS[name]


def row_stride(width: int) -> int:
    """Floats in a row of a plane."""
    return (width + 15) // 16 * 16


def deform(
    base: Float[torch.Tensor, "N 16"],
    basis: Float[torch.Tensor, "N K 16"],
    code: Float[torch.Tensor, " K"],
    limit: Float[torch.Tensor, "16"],
) -> Float[torch.Tensor, "N 16"]:
    """Gaussians of one instant: base + clamp(sum_k code_k basis_k, -limit, limit).

    A float16 basis is read as such and cannot be differentiated. Gradients reach base, basis and code;
    those of clamped numbers are zero.
    """
    checks.has_shape("base", base, None, CHANNELS)
    checks.has_shape("basis", basis, len(base), len(code), CHANNELS)
    checks.has_shape("limit", limit, CHANNELS)
    checks.has_dtype("basis", basis, base.dtype, torch.float16)
    checks.on_one_device(["base", "basis", "code", "limit"], [base, basis, code, limit])
    if not native.available() or base.dtype != torch.float32:
        return reference.deform(base, basis, code, limit)
    return _operator("splat_deform")(base.contiguous(), basis.contiguous(), code.contiguous(), limit)


class SparseColumns(NamedTuple):
    """Columns that move few Gaussians each, by blocks of 256 Gaussians: block after block, column after column."""

    starts: Int[torch.Tensor, " S"]
    """int32; entries of block b and column c are [starts[b * C + c], starts[b * C + c + 1])."""
    rows: Int[torch.Tensor, " M"]
    """int32; the Gaussian of each entry."""
    values: Float[torch.Tensor, "M 16"]
    """float16."""

    @staticmethod
    def of(dense: Float[torch.Tensor, "C N 16"], kept: Bool[torch.Tensor, "C N"]) -> SparseColumns:
        """The entries of a table that are kept."""
        columns, n = kept.shape
        blocks = -(-n // reference.COLUMN_BLOCK)
        padded = torch.zeros(columns, blocks * reference.COLUMN_BLOCK, dtype=torch.bool, device=kept.device)
        padded[:, :n] = kept
        by_block = padded.reshape(columns, blocks, -1).permute(1, 0, 2)
        block, column, place = by_block.nonzero().unbind(1)
        rows = block * reference.COLUMN_BLOCK + place
        counts = by_block.sum(2).reshape(-1).cumsum(0)
        starts = torch.cat([counts.new_zeros(1), counts]).int()
        return SparseColumns(starts, rows.int(), dense[column, rows].half().contiguous())


def express(
    base: Float[torch.Tensor, "N 16"],
    basis: Float[torch.Tensor, "N K 16"],
    codes: Float[torch.Tensor, "G K"],
    ends: Sequence[int],
    limit: Float[torch.Tensor, "16"],
    ranges: Float[torch.Tensor, "2 N 16"] | None,
    share: float,
    held: Float[torch.Tensor, "N 16"] | None,
    columns: SparseColumns,
    coefs: Float[torch.Tensor, " C"],
    spare: int = 0,
) -> Float[torch.Tensor, "M 16"]:
    """Gaussians of one instant with an expression, and `spare` rows behind them that hold anything.

    Args:
        codes, ends: `deform`s the rows up to each end with a code of their own.
        ranges, share: least and largest numbers, within which they are kept by that share.
        held: added then.
        columns, coefs: added last: coefs[c] times each column. One whose coefficient is 0 is not read.

    A float16 basis is read as such. Not differentiable.
    """
    if native.available():  # which looks at what it is given itself
        return _operator("splat_express")(
            base, basis, codes, list(ends), limit, ranges, share, held, *columns, coefs, spare
        )
    checks.has_shape("base", base, None, CHANNELS)
    checks.has_dtype("base", base, torch.float32)
    checks.has_shape("basis", basis, len(base), codes.shape[1], CHANNELS)
    whole = len(ends) == len(codes) and ends[-1] == len(base) and list(ends) == sorted(ends)
    checks.require(whole, "ends", f"{len(codes)} rising numbers up to {len(base)}", list(ends))
    checks.has_dtype("values", columns.values, torch.float16)
    checks.has_dtype("starts", columns.starts, torch.int32)
    checks.has_dtype("rows", columns.rows, torch.int32)
    checks.on_one_device(["base", "basis", "codes", "values", "coefs"], [base, basis, codes, columns.values, coefs])
    function = splat_torch.KERNELS["splat_express"]
    return function(base, basis, codes, list(ends), limit, ranges, share, held, *columns, coefs, spare)


def rasterise(
    gaussians: Float[torch.Tensor, "N 16"],
    transforms: Float[torch.Tensor, "2 3 4"],
    intrinsics: Sequence[float],
    width: int,
    height: int,
) -> Float[torch.Tensor, "5 H W"]:
    """Planes: premultiplied red, green, blue; transmittance; sum of weight times depth (not differentiable).

    Args:
        transforms: T_camera_head and T_camera_torso (which may be any affine map), metres.
        intrinsics: fx, fy, cx, cy in pixels.

    Gradients reach gaussians and transforms. Sources: Zwicker et al. 2001, "EWA volume splatting"; Kerbl
    et al. 2023, "3D Gaussian splatting for real-time radiance field rendering".
    """
    checks.has_shape("gaussians", gaussians, None, CHANNELS)
    checks.has_shape("transforms", transforms, 2, 3, 4)
    checks.require(len(intrinsics) == 4, "intrinsics", "fx, fy, cx, cy", len(intrinsics))
    checks.has_dtype("gaussians", gaussians, torch.float32, torch.float64)
    checks.has_dtype("transforms", transforms, gaussians.dtype)
    checks.on_one_device(["gaussians", "transforms"], [gaussians, transforms])
    if not native.available() or gaussians.dtype != torch.float32:
        return reference.rasterise(gaussians, transforms, gaussians.new_tensor(list(intrinsics)), width, height)
    if gaussians.device.type == "cuda":  # autograd keeps what gsplat's own backward needs: nothing is drawn twice
        return splat_torch.gsplat_planes(gaussians, transforms, intrinsics, width, height)
    planes = _operator("splat_rasterise")(
        gaussians.contiguous(), transforms.contiguous(), list(intrinsics), width, height
    )
    return planes[0][..., :width]


def rasterise_planes(
    gaussians: Float[torch.Tensor, "N 16"],
    transforms: Float[torch.Tensor, "2 3 4"],
    intrinsics: Sequence[float],
    width: int,
    height: int,
) -> tuple[Float[torch.Tensor, "5 H S"], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """As `rasterise`, for a fit that writes its own backward pass: whole planes, and what that pass needs."""
    if gaussians.device.type != "cpu":
        return splat_torch.recorded(gaussians, transforms, intrinsics, width, height)
    planes, *saved = _operator("splat_rasterise")(gaussians, transforms, list(intrinsics), width, height)
    return planes, (saved[0], saved[1], saved[2])


def rasterise_backward(
    gaussians: Float[torch.Tensor, "N 16"],
    transforms: Float[torch.Tensor, "2 3 4"],
    intrinsics: Sequence[float],
    width: int,
    planes: Float[torch.Tensor, "5 H S"],
    saved: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    d_planes: Float[torch.Tensor, "C H S"],
) -> tuple[Float[torch.Tensor, "N 16"], Float[torch.Tensor, "2 3 4"]]:
    """Gradients of Gaussians and transforms from those of (at least) the first four planes."""
    if gaussians.device.type != "cpu":
        return splat_torch.played_back(saved, width, d_planes)
    return _operator("splat_rasterise_backward")(
        gaussians, transforms, list(intrinsics), width, planes.shape[1], planes, *saved, d_planes
    )


def deform_backward(
    base: Float[torch.Tensor, "N 16"],
    basis: Float[torch.Tensor, "N K 16"],
    limit: Float[torch.Tensor, "16"],
    out: Float[torch.Tensor, "N 16"],
    d_out: Float[torch.Tensor, "N 16"],
) -> tuple[Float[torch.Tensor, "N 16"], Float[torch.Tensor, " K"]]:
    """Of `deform`: the gradient that passes the clamp (that of basis[n, k] is code[k] times it), and the code's."""
    return _operator("splat_deform_backward")(base, basis, limit, out, d_out)


def photo_loss(
    planes: Float[torch.Tensor, "C H S"],
    background: Float[torch.Tensor, "3 H S"],
    truth: UInt8[torch.Tensor, "H W 3"],
    matte: UInt8[torch.Tensor, "H W"],
    labels: UInt8[torch.Tensor, "H W"],
    weights: Float[torch.Tensor, "256"],
    dssim_share: float,
    coverage_weight: float,
) -> tuple[Float[torch.Tensor, "4 H S"], Float[torch.Tensor, "4"]]:
    """Gradient of an image's loss with respect to its planes, and the loss's parts (float64).

        x = colour + T background
        loss = (1 - s) mean(weight[label] |x - truth|) + s (1 - SSIM) / 2 + c mean((1 - T - matte)^2)

    The parts: weighted L1, (1 - SSIM) / 2, coverage error squared, colour error squared. SSIM has 7 x 7
    uniform windows inside the image, as `gtalk.fit.losses.terms.dssim_loss`.
    """
    return _operator("splat_photo_loss")(
        planes, background, truth, matte, labels, weights, dssim_share, coverage_weight
    )


def adam_(
    value: Float[torch.Tensor, "N 16"],
    gradient: Float[torch.Tensor, "N 16"],
    first: Float[torch.Tensor, "N 16"],
    second: Float[torch.Tensor, "N 16"],
    rates: Float[torch.Tensor, "16"],
    betas: tuple[float, float],
    epsilon: float,
    step: int,
) -> None:
    """One step of Adam (Kingma and Ba 2015) in place, with a rate per channel. `step` counts from 1."""
    _operator("splat_adam_")(value, gradient, first, second, rates, *betas, epsilon, step)


def adam_basis_(
    basis: Float[torch.Tensor, "N K 16"],
    gradient: Float[torch.Tensor, "N 16"],
    code: Float[torch.Tensor, " K"],
    first: Float[torch.Tensor, "N K 16"],
    second: Float[torch.Tensor, "N 16"],
    rates: Float[torch.Tensor, "16"],
    kept: Float[torch.Tensor, "16"],
    betas: tuple[float, float],
    epsilon: float,
    step: int,
) -> None:
    """Adam on a basis from the gradient of the Gaussians it moves: that of basis[n, k] is code[k] gradient[n].

    The second moment is the Gaussian's own (`second` as `adam_` keeps it), since codes have unit variance:
    a direction that the clip seldom visits moves in proportion to its evidence instead of in full steps.
    `kept` is what remains of each channel after a step's decay.
    """
    _operator("splat_adam_basis_")(basis, gradient, code, first, second, rates, kept, *betas, epsilon, step)


def framed_plate(
    plate: Float[torch.Tensor, "3 h s"], plate_width: int, framing: Sequence[float], width: int, height: int
) -> Float[torch.Tensor, "3 H S"]:
    """The plate as the camera frames it: dx, dy in image heights and log scale, about the image's centre.

    The plate may be larger than the image; its centre is the image's, and its edge goes on beyond it.
    """
    return _operator("splat_plate")(plate, plate_width, list(framing), width, height)


def plate_planes(image: UInt8[torch.Tensor, "H W 3"]) -> Float[torch.Tensor, "3 H S"]:
    """An image as planes in [0, 1]."""
    planes = image.permute(2, 0, 1).float() / 255.0
    return torch.nn.functional.pad(planes, (0, row_stride(image.shape[1]) - image.shape[1])).contiguous()


def render_frame(
    base: Float[torch.Tensor, "N 16"],
    bases: tuple[torch.Tensor, torch.Tensor],
    codes: tuple[torch.Tensor, torch.Tensor],
    limit: Float[torch.Tensor, "16"],
    transforms: Float[torch.Tensor, "2 3 4"],
    intrinsics: Sequence[float],
    size: tuple[int, int],
    plate: Float[torch.Tensor, "3 h s"] | None,
    plate_width: int,
    framing: Sequence[float],
    *,
    scale: float = 1.0,
    as_bytes: bool,
    rest: Float[torch.Tensor, "R 16"] | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Motion to image in one call: rgb [H, W, 3], coverage [H, W], and mean depth [H, W] unless `as_bytes`.

    Args:
        bases, codes: of the first rows of `base`, and of the rest. A basis without columns leaves its rows as they are.
        rest: that rest, where `base` ends before it.
        size: (width, height) in pixels.
        plate: what stands behind; None leaves colour premultiplied on nothing.
        scale: size of this image over the one that the Gaussians were fitted at.
    """
    return _operator("splat_frame")(
        base, bases[0], codes[0], bases[1], codes[1], limit, transforms, list(intrinsics), *size, plate, plate_width,
        list(framing), scale, as_bytes, rest,
    )  # fmt: skip


def _register() -> None:
    """Shapes for tracing, and gradients."""

    @torch.library.register_fake("gtalk::splat_deform")
    def _(base, basis, code, limit):
        return torch.empty_like(base)

    @torch.library.register_fake("gtalk::splat_express")
    def _(base, basis, codes, ends, limit, ranges, share, held, starts, rows, values, coefs, spare=0):
        return base.new_empty(len(base) + spare, CHANNELS)

    @torch.library.register_fake("gtalk::splat_deform_backward")
    def _(base, basis, limit, out, d_out):
        return torch.empty_like(base), base.new_empty(basis.shape[1])

    @torch.library.register_fake("gtalk::splat_rasterise")
    def _(gaussians, transforms, intrinsics, width, height):
        tiles = ((width + 15) // 16) * ((height + 15) // 16)
        seen, entries = torch.library.get_ctx().new_dynamic_size(), torch.library.get_ctx().new_dynamic_size()
        whole = gaussians.new_empty(5, height, row_stride(width))
        ranges = gaussians.new_empty(2, tiles, dtype=torch.int32)
        return whole, gaussians.new_empty(seen, 16), ranges, gaussians.new_empty(entries, dtype=torch.int32)

    @torch.library.register_fake("gtalk::splat_rasterise_backward")
    def _(gaussians, transforms, intrinsics, width, height, planes, splats, ranges, listed, d_planes):
        return torch.empty_like(gaussians), torch.empty_like(transforms)

    @torch.library.register_fake("gtalk::splat_photo_loss")
    def _(planes, background, truth, matte, labels, weights, dssim_share, coverage_weight):
        return planes.new_empty(4, *planes.shape[1:]), planes.new_empty(4, dtype=torch.float64)

    def save_deform(ctx, inputs, output):
        base, basis, code, limit = inputs
        ctx.save_for_backward(base, basis, code, limit, output)

    def deform_gradients(ctx, grad):
        base, basis, code, limit, out = ctx.saved_tensors
        inner, d_code = torch.ops.gtalk.splat_deform_backward(base, basis, limit, out, grad.contiguous())
        d_basis = inner[:, None] * code[:, None] if ctx.needs_input_grad[1] else None
        return grad, d_basis, d_code, None

    def save_rasterise(ctx, inputs, output):
        gaussians, transforms, ctx.intrinsics, ctx.width, ctx.height = inputs
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(gaussians, transforms, *output)

    def rasterise_gradients(ctx, d_planes, *_):
        gaussians, transforms, *rest = ctx.saved_tensors
        d_gaussians, d_transforms = torch.ops.gtalk.splat_rasterise_backward(
            gaussians, transforms, ctx.intrinsics, ctx.width, ctx.height, *rest, d_planes.contiguous()
        )
        return d_gaussians, d_transforms, None, None, None

    torch.library.register_autograd("gtalk::splat_deform", deform_gradients, setup_context=save_deform)
    torch.library.register_autograd("gtalk::splat_rasterise", rasterise_gradients, setup_context=save_rasterise)


if native.BUILT:
    _library = splat_torch.register()
    _register()
