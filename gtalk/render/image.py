"""Layers become images: the plate under the camera's framing, and the person over it."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from gtalk.compute.device import sent
from gtalk.shapes import Float


def framed_plate(
    plate: Float[torch.Tensor, "h w 3"],
    framing: Float[torch.Tensor, " 3"],
    points_px: Float[torch.Tensor, "N 2"],
    size: tuple[int, int],
    margin: float = 0.0,
) -> Float[torch.Tensor, "N 3"]:
    """The plate as the camera frames it, at points of an image of `size` = (width, height).

    `framing` is (dx, dy in image heights, log scale) about the image's centre: a plate point p is
    seen at centre + (dx, dy) + exp(scale) * (p - centre). The plate reaches `margin` image heights
    beyond the image on every side; beyond the plate its edge goes on. A plate much finer than
    the image should be averaged beforehand.
    """
    width, height = size
    centre = sent([width / 2, height / 2], points_px)
    place = (points_px - centre - framing[:2] * height) * torch.exp(-framing[2])
    reach = sent([width / 2 + margin * height, height / 2 + margin * height], points_px)
    image = plate.permute(2, 0, 1)[None]
    seen = F.grid_sample(image, (place / reach)[None, None], "bilinear", "border", False)
    return seen[0, :, 0].T


def over(
    front: Float[torch.Tensor, "*batch C"],
    front_alpha: Float[torch.Tensor, "*batch"],
    back: Float[torch.Tensor, "*batch C"],
) -> Float[torch.Tensor, "*batch C"]:
    """`front` over `back`: colours, or anything else premultiplied by alpha (Porter and Duff 1984)."""
    return front + (1.0 - front_alpha)[..., None] * back
