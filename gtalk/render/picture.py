"""Layers become pictures: the plate under the camera's framing, and the person over it."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from gtalk.shapes import Float


def framed_plate(
    plate: Float[torch.Tensor, "h w 3"],
    framing: Float[torch.Tensor, " 3"],
    width: int,
    height: int,
    margin: float = 0.0,
) -> Float[torch.Tensor, "H W 3"]:
    """The plate as the camera frames it, at width x height.

    `framing` is (dx, dy in picture heights, log scale) about the picture's centre: a plate point p is
    seen at centre + (dx, dy) + exp(scale) * (p - centre). The plate reaches `margin` picture heights
    beyond the picture on every side; beyond the plate its edge goes on. A plate much finer than
    the picture should be averaged beforehand.
    """
    dx, dy, log_scale = framing.unbind(-1)
    shrink = torch.exp(-log_scale)
    y = torch.linspace(-1.0 + 1.0 / height, 1.0 - 1.0 / height, height, device=plate.device)
    x = torch.linspace(-1.0 + 1.0 / width, 1.0 - 1.0 / width, width, device=plate.device)
    x = (x - 2.0 * dx * height / width) * shrink / (1.0 + 2.0 * margin * height / width)
    y = (y - 2.0 * dy) * shrink / (1.0 + 2.0 * margin)
    grid = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], -1)
    image = plate.permute(2, 0, 1)[None]
    return F.grid_sample(image, grid[None], "bilinear", "border", False)[0].permute(1, 2, 0)


def over(
    front_rgb: Float[torch.Tensor, "*batch 3"],
    front_alpha: Float[torch.Tensor, "*batch"],
    back_rgb: Float[torch.Tensor, "*batch 3"],
) -> Float[torch.Tensor, "*batch 3"]:
    """Premultiplied `front` over `back` (Porter and Duff 1984)."""
    return front_rgb + (1.0 - front_alpha)[..., None] * back_rgb
