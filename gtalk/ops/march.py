"""Samples along rays, only where something can be."""

from __future__ import annotations

import torch

from gtalk.ops import checks, native
from gtalk.ops.reference import march as reference
from gtalk.shapes import Float, Int, UInt8


@torch.no_grad()
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
    """Lattice points t_i = near + (i + jitter) * step, t_i < far, that lie in occupied cells.

    Args:
        origins: float32; a point of ray r is origins[r] + t * directions[r].
        directions: need not be of unit length; near, far and step are in units of t.
        near: first and
        far: last t of each ray.
        occupancy: cell [i, j, k] spans the i-th part along x, j-th along y, k-th along z of the box; 0 is empty.
        aabb: lowest and highest corner of the box that occupancy covers; best in host memory, where it is read.
        step: distance of lattice points.
        max_samples: of one ray, at most; the nearest are kept.
        jitter: shift of each ray's lattice in steps, 0 <= jitter < 1; 0.5 where not given.
        capacity: S, fixed beforehand, so that a GPU need not be waited for. Samples beyond it are left out, last
            rays first; what is left of it has t = 0, ray = -1, and belongs to no ray.

    Returns:
        t of S samples, ray by ray and front to back; the ray of each (int32); ray_offsets (int64), so
        that ray r owns samples ray_offsets[r] .. ray_offsets[r + 1] - 1. No gradients.

    Source: empty cells are crossed as in Amanatides & Woo 1987, "A Fast Voxel Traversal Algorithm".
    """
    check(origins, directions, near, far, occupancy, aabb, step, max_samples, jitter)
    checks.require(capacity is None or capacity >= 0, "capacity", "a number from 0", capacity)
    if not native.available(origins):
        return reference.march(origins, directions, near, far, occupancy, aabb, step, max_samples, jitter, capacity)
    limit = {} if capacity is None else {"capacity": capacity}
    return torch.ops.gtalk.march(origins, directions, near, far, occupancy, aabb, step, max_samples, jitter, **limit)


def check(
    origins: torch.Tensor,
    directions: torch.Tensor,
    near: torch.Tensor,
    far: torch.Tensor,
    occupancy: torch.Tensor,
    aabb: torch.Tensor,
    step: float,
    max_samples: int,
    jitter: torch.Tensor | None,
) -> None:
    """Raise ValueError where the arguments of `march` do not fit."""
    rays = len(origins)
    checks.has_shape("origins", origins, None, 3)
    checks.has_shape("directions", directions, rays, 3)
    checks.has_shape("near", near, rays)
    checks.has_shape("far", far, rays)
    checks.has_shape("occupancy", occupancy, None, None, None)
    checks.has_shape("aabb", aabb, 2, 3)
    checks.has_dtype("occupancy", occupancy, torch.uint8)
    checks.require(step > 0.0, "step", "a positive number", step)
    checks.require(max_samples > 0, "max_samples", "a positive number", max_samples)
    names, tensors = ["origins", "directions", "near", "far"], [origins, directions, near, far]
    if jitter is not None:
        checks.has_shape("jitter", jitter, rays)
        names.append("jitter")
        tensors.append(jitter)
    for name, tensor in zip([*names, "aabb"], [*tensors, aabb], strict=True):
        checks.has_dtype(name, tensor, torch.float32)
    checks.on_one_device([*names, "occupancy"], [*tensors, occupancy])


@native.fake("march")
def _fake(
    origins: torch.Tensor,
    directions: torch.Tensor,
    near: torch.Tensor,
    far: torch.Tensor,
    occupancy: torch.Tensor,
    aabb: torch.Tensor,
    step: float,
    max_samples: int,
    jitter: torch.Tensor | None,
    capacity: int | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    samples = torch.library.get_ctx().new_dynamic_size() if capacity is None else capacity
    offsets = origins.new_empty(origins.shape[0] + 1, dtype=torch.int64)
    return origins.new_empty(samples), origins.new_empty(samples, dtype=torch.int32), offsets
