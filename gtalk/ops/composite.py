"""Volume rendering of packed samples."""

from __future__ import annotations

import torch

from gtalk.ops import checks, native
from gtalk.ops.reference import composite as reference
from gtalk.shapes import Float, Int


def composite(
    sigmas: Float[torch.Tensor, " S"],
    features: Float[torch.Tensor, "S C"],
    t: Float[torch.Tensor, " S"],
    dt: float | Float[torch.Tensor, " S"],
    ray_offsets: Int[torch.Tensor, " R1"],
    early_stop: float = 1e-4,
) -> tuple[Float[torch.Tensor, "R C"], Float[torch.Tensor, " R"], Float[torch.Tensor, " R"], Float[torch.Tensor, " S"]]:
    """Front-to-back compositing, ray by ray.

        a_i = 1 - exp(-sigma_i dt_i),   T_i = prod_{j<i} (1 - a_j),   w_i = T_i a_i

    Args:
        sigmas: densities, >= 0, per unit of t.
        features: what is summed (colours, or features that are shaded later).
        t: depth of each sample, front to back within a ray.
        dt: length of each sample, or of all of them.
        ray_offsets: int64; ray r owns samples ray_offsets[r] .. ray_offsets[r + 1] - 1.
        early_stop: samples behind a transmittance below this weigh nothing.

    Returns:
        features sum w_i f_i, alpha sum w_i, depth sum w_i t_i (premultiplied by alpha), weights w_i.
        Gradients reach sigmas and features, through all four.

    Source: Max 1995, "Optical Models for Direct Volume Rendering".
    """
    check(sigmas, features, t, dt, ray_offsets)
    if not native.available(sigmas):
        return reference.composite(sigmas, features, t, dt, ray_offsets, early_stop)
    lengths, step = (dt, 0.0) if isinstance(dt, torch.Tensor) else (None, float(dt))
    return torch.ops.gtalk.composite(sigmas, features, t, lengths, step, ray_offsets, early_stop)


def check(
    sigmas: torch.Tensor,
    features: torch.Tensor,
    t: torch.Tensor,
    dt: float | torch.Tensor,
    ray_offsets: torch.Tensor,
) -> None:
    """Raise ValueError where the arguments of `composite` do not fit."""
    samples = len(sigmas)
    checks.has_shape("sigmas", sigmas, None)
    checks.has_shape("features", features, samples, None)
    checks.has_shape("t", t, samples)
    checks.has_shape("ray_offsets", ray_offsets, None)
    checks.require(len(ray_offsets) > 0, "ray_offsets", "one number more than there are rays", "none")
    checks.has_dtype("sigmas", sigmas, torch.float32, torch.float64)
    checks.has_dtype("features", features, sigmas.dtype)
    checks.has_dtype("t", t, sigmas.dtype)
    checks.has_dtype("ray_offsets", ray_offsets, torch.int64)
    checks.on_one_device(["sigmas", "features", "t", "ray_offsets"], [sigmas, features, t, ray_offsets])
    if isinstance(dt, torch.Tensor):
        checks.has_shape("dt", dt, samples)
        checks.has_dtype("dt", dt, sigmas.dtype)
        checks.on_one_device(["sigmas", "dt"], [sigmas, dt])


@native.fake("composite")
def _fake(
    sigmas: torch.Tensor,
    features: torch.Tensor,
    t: torch.Tensor,
    dt: torch.Tensor | None,
    step: float,
    ray_offsets: torch.Tensor,
    early_stop: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    rays = ray_offsets.shape[0] - 1
    per_ray = sigmas.new_empty(rays)
    return sigmas.new_empty(rays, features.shape[1]), per_ray, per_ray.new_empty(rays), sigmas.new_empty(len(sigmas))


@native.fake("composite_backward")
def _fake_backward(
    grad_feature: torch.Tensor,
    grad_alpha: torch.Tensor,
    grad_depth: torch.Tensor,
    grad_weight: torch.Tensor,
    weights: torch.Tensor,
    sigmas: torch.Tensor,
    features: torch.Tensor,
    t: torch.Tensor,
    dt: torch.Tensor | None,
    step: float,
    ray_offsets: torch.Tensor,
    early_stop: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    return sigmas.new_empty(sigmas.shape), features.new_empty(features.shape)


def _setup(ctx, inputs: tuple, output: tuple) -> None:
    sigmas, features, t, dt, ctx.step, ray_offsets, ctx.early_stop = inputs
    ctx.save_for_backward(output[3], sigmas, features, t, dt, ray_offsets)


def _backward(ctx, *grads: torch.Tensor) -> tuple:
    weights, sigmas, features, t, dt, ray_offsets = ctx.saved_tensors
    grad_sigma, grad_sample = torch.ops.gtalk.composite_backward(
        *grads, weights, sigmas, features, t, dt, ctx.step, ray_offsets, ctx.early_stop
    )
    return grad_sigma, grad_sample, None, None, None, None, None


native.autograd("composite", _backward, _setup)
