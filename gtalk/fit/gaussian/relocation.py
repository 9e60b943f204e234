"""Dead Gaussians are put to use: a nearly transparent one moves to where the image still errs."""

from __future__ import annotations

import torch

from gtalk.geometry.quaternion import rotation_matrices
from gtalk.ops import splat
from gtalk.shapes import Float

SPLIT_SHRINK = 0.47  # two Gaussians in place of one: log(1.6), as Kerbl et al. 2023 divide scales


def relocate(
    tensors: dict[str, torch.Tensor],
    moments: dict[str, torch.Tensor],
    densification_score: Float[torch.Tensor, " N"],
    rows: slice,
    basis: str,
    dead_logit: float,
    most: int,
    rng: torch.Generator,
) -> int:
    """Move the dead Gaussians among `rows` onto living ones drawn in proportion to their score; returns how many.

    Parent and child share the parent's place: each gets the opacity 1 - sqrt(1 - o) and smaller scales, and the
    child is shifted by a random draw from the parent's own shape (after Kheradmand et al. 2024, "3D Gaussian
    splatting as Markov chain Monte Carlo").
    """
    base, table = tensors["base"][rows], tensors[basis]
    opacity = base[:, 10]
    dead = torch.nonzero(opacity < dead_logit)[:, 0][:most]
    weight = torch.where(opacity < dead_logit, torch.zeros_like(opacity), densification_score[rows].clamp_min(0.0))
    if not len(dead) or int((weight > 0).sum()) < len(dead):
        return 0
    parent = torch.multinomial(weight.double().cpu(), len(dead), replacement=False, generator=rng).to(base.device)
    shared = 1.0 - torch.sqrt(1.0 - torch.sigmoid(base[parent, 10])).clamp(1e-3, 1.0 - 1e-3)
    base[parent, 10] = torch.logit(shared.clamp(0.02, 0.98))
    offset = torch.randn(len(dead), 3, generator=rng).to(base.device) * torch.exp(base[parent, splat.LOG_SCALE])
    turned = (rotation_matrices(base[parent, splat.QUATERNION]) @ offset[..., None])[..., 0]
    base[parent, splat.LOG_SCALE] -= SPLIT_SHRINK * 0.5
    base[dead] = base[parent]
    base[dead, splat.POSITION] += 0.7 * turned
    table[dead] = table[parent]
    if "anchors" in tensors:
        tensors["anchors"][rows][dead] = tensors["anchors"][rows][parent]
    for name in ("base.first", "base.second"):
        moments[name][rows][dead] = moments[name][rows][parent]
    moments[f"{basis}.first"][dead] = 0.0
    return len(dead)
