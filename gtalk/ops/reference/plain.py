"""Every radiance op in plain differentiable torch: what the compiled ones are tested against."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch

from gtalk.ops.grid import PRIMES, GridSpec


def hash_encode(points: torch.Tensor, table: torch.Tensor, spec: GridSpec) -> torch.Tensor:
    """See `gtalk.ops.hash_encode`."""
    features = []
    for level, resolution in enumerate(spec.resolutions):
        begin, end = spec.offsets[level], spec.offsets[level + 1]
        scaled = points * resolution
        cell = scaled.detach().floor().clamp(0, resolution - 1)
        part = scaled - cell
        cell = cell.long()
        total = 0.0
        for corner in itertools.product((0, 1), repeat=spec.dim):
            offset = torch.tensor(corner, device=points.device)
            weight = torch.where(offset.bool(), part, 1 - part).prod(-1, keepdim=True)
            total = total + weight * table[begin + _index(cell + offset, resolution, end - begin, spec)].to(
                points.dtype
            )
        features.append(total)
    return torch.cat(features, dim=-1) if features else points.new_zeros(len(points), 0)


def _index(corner: torch.Tensor, resolution: int, size: int, spec: GridSpec) -> torch.Tensor:
    if (resolution + 1) ** spec.dim <= 1 << spec.log2_table_size:
        index = corner[:, 0]
        for axis in range(1, spec.dim):
            index = index + corner[:, axis] * (resolution + 1) ** axis
        return index
    index = torch.zeros_like(corner[:, 0])
    for axis in range(spec.dim):
        index = index ^ ((corner[:, axis] * PRIMES[axis]) & 0xFFFFFFFF)
    return index & (size - 1)


def march(origins, directions, near, far, occupancy, aabb, step, max_samples, jitter=None):
    """See `gtalk.ops.march`."""
    rays = len(origins)
    grid = occupancy.shape[0]
    start = near + (step * jitter if jitter is not None else 0.5 * step)
    count = int(torch.ceil(((far - near).clamp_min(0) / step).max()).item()) if rays else 0
    t = start[:, None] + step * torch.arange(count, device=origins.device, dtype=origins.dtype)
    points = origins[:, None] + t[..., None] * directions[:, None]
    unit = (points - aabb[0]) / (aabb[1] - aabb[0])
    inside = ((unit >= 0) & (unit < 1)).all(-1) & (t < far[:, None])
    cell = (unit * grid).long().clamp(0, grid - 1)
    keep = inside & (occupancy[cell[..., 0], cell[..., 1], cell[..., 2]] > 0)
    keep &= keep.cumsum(1) <= max_samples
    offsets = torch.zeros(rays + 1, dtype=torch.int64, device=origins.device)
    offsets[1:] = keep.sum(1).cumsum(0)
    index = torch.arange(rays, dtype=torch.int32, device=origins.device)[:, None].expand_as(keep)
    return t[keep], index[keep], offsets


def composite(sigmas, features, t, dt, ray_offsets, early_stop=1e-4):
    """See `gtalk.ops.composite`."""
    rays = len(ray_offsets) - 1
    ray = torch.repeat_interleave(torch.arange(rays, device=t.device), ray_offsets.diff())
    thickness = sigmas * dt
    total = torch.cumsum(thickness.double(), 0)
    before = total - thickness.double()
    base = (
        torch.cat([before, before.new_zeros(1)])[ray_offsets[:-1].clamp_max(max(len(t) - 1, 0))] if len(t) else before
    )
    transmittance = torch.exp(-(before - base[ray])).to(sigmas.dtype) if len(t) else sigmas
    transmittance = torch.where(transmittance > early_stop, transmittance, torch.zeros_like(transmittance))
    weights = transmittance * (1 - torch.exp(-thickness))
    out = features.new_zeros(rays, features.shape[1]).index_add(0, ray, weights[:, None] * features)
    alpha = sigmas.new_zeros(rays).index_add(0, ray, weights)
    depth = sigmas.new_zeros(rays).index_add(0, ray, weights * t)
    return out, alpha, depth, weights


def mlp(x: torch.Tensor, weights: Sequence[torch.Tensor], biases: Sequence[torch.Tensor] | None = None) -> torch.Tensor:
    """See `gtalk.ops.mlp`."""
    for layer, weight in enumerate(weights):
        x = torch.nn.functional.linear(x, weight, None if biases is None else biases[layer])
        if layer + 1 < len(weights):
            x = torch.relu(x)
    return x


def adam_step_(param, grad, exp_avg, exp_avg_sq, step, lr, beta1=0.9, beta2=0.99, eps=1e-15, sparse=False):
    """See `gtalk.ops.adam_step_`."""
    touched = grad != 0 if sparse else torch.ones_like(grad, dtype=torch.bool)
    first = torch.where(touched, beta1 * exp_avg + (1 - beta1) * grad, exp_avg)
    second = torch.where(touched, beta2 * exp_avg_sq + (1 - beta2) * grad * grad, exp_avg_sq)
    change = lr * (first / (1 - beta1**step)) / ((second / (1 - beta2**step)).sqrt() + eps)
    param.sub_(torch.where(touched, change, torch.zeros_like(change)))
    exp_avg.copy_(first)
    exp_avg_sq.copy_(second)


def blend_basis(tables: torch.Tensor, coefs: torch.Tensor) -> torch.Tensor:
    """See `gtalk.ops.blend_basis`."""
    return tables[0] + torch.einsum("k,k...->...", coefs.to(tables.dtype), tables[1:])


def adam_basis_step_(tables, grad, coefs, exp_avg, exp_avg_sq, step, lr, beta1=0.9, beta2=0.99, eps=1e-15):
    """See `gtalk.ops.adam_basis_step_`."""
    full = torch.cat([coefs.new_ones(1), coefs])
    shaped = full.reshape(-1, *[1] * grad.dim()) * grad
    adam_step_(tables, shaped, exp_avg, exp_avg_sq, step, lr, beta1, beta2, eps, sparse=True)
