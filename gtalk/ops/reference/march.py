"""Ray marching through an occupancy grid in plain torch: every lattice point of every ray is looked at."""

from __future__ import annotations

import torch

from gtalk.compute.device import sent
from gtalk.shapes import Float, Int, UInt8

RAYS_AT_ONCE = 4096


def march(
    origins: Float[torch.Tensor, "R 3"],
    directions: Float[torch.Tensor, "R 3"],
    near: Float[torch.Tensor, " R"],
    far: Float[torch.Tensor, " R"],
    occupancy: UInt8[torch.Tensor, "G G G"],
    aabb: Float[torch.Tensor, "2 3"],
    step: float,
    max_samples: int,
    jitter: Float[torch.Tensor, " R"] | None = None,
    capacity: int | None = None,
) -> tuple[Float[torch.Tensor, " S"], Int[torch.Tensor, " S"], Int[torch.Tensor, " R1"]]:
    """As `gtalk.ops.march`."""
    if jitter is None:
        jitter = torch.full_like(near, 0.5)
    aabb = sent(aabb, origins)
    ts, counts = [], []
    for start in range(0, len(origins), RAYS_AT_ONCE):
        part = slice(start, start + RAYS_AT_ONCE)
        t, taken = _lattice(origins[part], directions[part], near[part], far[part], jitter[part], occupancy, aabb, step)
        taken &= taken.cumsum(1) <= max_samples
        ts.append(t[taken])
        counts.append(taken.sum(1))
    offsets = torch.zeros(len(origins) + 1, dtype=torch.int64, device=origins.device)
    if not ts:
        return _fixed(origins.new_zeros(0), offsets[:0].int(), offsets, capacity)
    count = torch.cat(counts)
    offsets[1:] = count.cumsum(0)
    ray_index = torch.arange(len(origins), device=origins.device).repeat_interleave(count)
    return _fixed(torch.cat(ts), ray_index.int(), offsets, capacity)


def _fixed(
    t: torch.Tensor, ray: torch.Tensor, offsets: torch.Tensor, capacity: int | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """So many samples, whatever was found."""
    if capacity is None:
        return t, ray, offsets
    spare = max(0, capacity - len(t))
    t, ray = torch.cat([t, t.new_zeros(spare)])[:capacity], torch.cat([ray, ray.new_full((spare,), -1)])[:capacity]
    return t, ray, offsets.clamp_max(capacity)


def _lattice(
    origins: torch.Tensor,
    directions: torch.Tensor,
    near: torch.Tensor,
    far: torch.Tensor,
    jitter: torch.Tensor,
    occupancy: torch.Tensor,
    aabb: torch.Tensor,
    step: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """All lattice points t [r, M] of some rays, and whether each is taken."""
    longest = float((far - near).max().clamp_min(0)) / step
    i = torch.arange(int(longest) + 2, device=origins.device, dtype=near.dtype)
    t = near[:, None] + (i + jitter[:, None]) * step
    point = origins[:, None] + t[..., None] * directions[:, None]
    size = torch.tensor(occupancy.shape, device=origins.device)
    scaled = (point - aabb[0]) * (size / (aabb[1] - aabb[0]))
    inside = ((scaled >= 0) & (scaled < size)).all(-1)
    cell = torch.where(inside[..., None], scaled, torch.zeros_like(scaled)).long()
    occupied = occupancy[cell[..., 0], cell[..., 1], cell[..., 2]] != 0
    return t, inside & occupied & (t < far[:, None])
