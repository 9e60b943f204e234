"""Losses on rendered images. Each returns a scalar and is differentiable in its first argument."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from gtalk.dataset.format import MaskClass
from gtalk.shapes import Float, UInt8

SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2


@dataclass(frozen=True)
class RegionWeights:
    """How much a pixel's colour error counts, by what it shows."""

    background: float = 1.0
    head: float = 1.0
    neck: float = 1.0
    torso: float = 1.0
    lips: float = 3.0
    mouth: float = 4.0
    eyes: float = 3.0

    def table(self) -> Float[torch.Tensor, "256"]:
        """Weight by MaskClass value."""
        table = torch.ones(256)
        for mask in MaskClass:
            table[mask.value] = getattr(self, mask.name.lower())
        return table


def pixel_weights(
    labels: UInt8[torch.Tensor, "*batch"], table: Float[torch.Tensor, "256"]
) -> Float[torch.Tensor, "*batch"]:
    """Weight of every pixel by `RegionWeights.table`, mean one over the pixels given."""
    looked_up = table[labels.long()]
    return looked_up / looked_up.mean().clamp_min(1e-6)


def l1_loss(
    render: Float[torch.Tensor, "*batch 3"],
    truth: Float[torch.Tensor, "*batch 3"],
    weights: Float[torch.Tensor, "*batch"] | None = None,
) -> Float[torch.Tensor, ""]:
    """Weighted mean absolute colour error."""
    error = (render - truth).abs().mean(-1)
    return error.mean() if weights is None else (error * weights).mean()


def dssim_loss(
    render: Float[torch.Tensor, "B H W 3"], truth: Float[torch.Tensor, "B H W 3"], window: int = 7
) -> Float[torch.Tensor, ""]:
    """(1 - SSIM) / 2 with a uniform window, over the window positions that lie inside the image.

    Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity", eq. 13;
    a box instead of the Gaussian, since separable sums are cheap. Images smaller than the window use
    one window of their own size.
    """
    both = torch.stack([render, truth]).permute(0, 1, 4, 2, 3)
    size = min(window, both.shape[-1], both.shape[-2])
    x, y = both[0], both[1]
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = (
        F.avg_pool2d(F.avg_pool2d(v, (size, 1), 1), (1, size), 1) for v in (x, y, x * x, y * y, x * y)
    )
    variance_x, variance_y = mean_xx - mean_x**2, mean_yy - mean_y**2
    covariance = mean_xy - mean_x * mean_y
    ssim = ((2 * mean_x * mean_y + SSIM_C1) * (2 * covariance + SSIM_C2)) / (
        (mean_x**2 + mean_y**2 + SSIM_C1) * (variance_x + variance_y + SSIM_C2)
    )
    return (1.0 - ssim).mean() / 2.0


def alpha_loss(
    alpha: Float[torch.Tensor, "*batch"], coverage: Float[torch.Tensor, "*batch"]
) -> Float[torch.Tensor, ""]:
    """Mean squared difference of rendered and wanted coverage by the person."""
    return ((alpha - coverage) ** 2).mean()
