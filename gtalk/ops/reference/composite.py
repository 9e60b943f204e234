"""Volume compositing of packed samples in plain differentiable torch."""

from __future__ import annotations

import torch
from torch.nn.functional import pad

from gtalk.shapes import Float, Int


def composite(
    sigmas: Float[torch.Tensor, " S"],
    features: Float[torch.Tensor, "S C"],
    t: Float[torch.Tensor, " S"],
    dt: float | Float[torch.Tensor, " S"],
    ray_offsets: Int[torch.Tensor, " R1"],
    early_stop: float = 1e-4,
) -> tuple[Float[torch.Tensor, "R C"], Float[torch.Tensor, " R"], Float[torch.Tensor, " R"], Float[torch.Tensor, " S"]]:
    """As `gtalk.ops.composite`."""
    rays = len(ray_offsets) - 1
    counts = ray_offsets[1:] - ray_offsets[:-1]
    ray = torch.arange(rays, device=sigmas.device).repeat_interleave(counts)
    spare, (sigmas, features, t) = len(sigmas) - len(ray), (v[: len(ray)] for v in (sigmas, features, t))
    dt = dt[: len(ray)] if isinstance(dt, torch.Tensor) else dt
    thickness = sigmas * dt
    # in float64: a running sum over all rays loses digits that a single ray needs
    running = torch.cat([thickness.new_zeros(1), thickness]).double().cumsum(0)
    before = (running[:-1] - running[ray_offsets[ray]]).to(thickness.dtype)
    transmittance = torch.exp(-before)
    alive = (transmittance.detach() >= early_stop).to(thickness.dtype)
    weights = transmittance * (1.0 - torch.exp(-thickness)) * alive

    def per_ray(values: torch.Tensor) -> torch.Tensor:
        return values.new_zeros((rays, *values.shape[1:])).index_add(0, ray, values)

    return per_ray(weights[:, None] * features), per_ray(weights), per_ray(weights * t), pad(weights, (0, spare))
