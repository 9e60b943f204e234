"""Hair, neck and clothes at the places where the clip shows them, whatever depth they were guessed to have.

Each Gaussian outside the face has an anchor: a place in the rest frame of the channel `sway`, and the point of head
and torso that was seen there. In a frame it is shifted by what lies between where the anchor was measured to be
and where head and torso alone would carry it. Where nothing was measured, a regression of these shifts on the head's
pose, learned from the clip, stands in, which an avatar adds to its bases (`GaussianAvatar.usual`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from gtalk.compute.device import sent
from gtalk.shapes import Float
from gtalk.types import SWAY_GRID, Camera

POINT, PLACE, SKIN, WEIGHT, USUAL, ANCHOR = slice(0, 3), slice(3, 5), 5, 6, slice(7, 21), 21
"""Columns of anchors: point in head space; place in the rest frame (shares of its sides); share of the torso; how much
it is shifted, none at 0; [1, code of the head's pose] -> shift across the image (focal lengths), row by row."""
RIDGE = 1e-2  # of codes, which are near one
Transforms = tuple[Float[np.ndarray, "3 4"], Float[np.ndarray, "3 4"]]
"""T_camera_head and T_camera_torso of the clip's own camera."""


class Carried:
    """Anchors of one frame as head and torso alone carry them."""

    def __init__(self, anchors: Float[torch.Tensor, "N 21"], transforms: Transforms) -> None:
        self.anchors = anchors
        both = np.stack(transforms)
        placed = sent(np.concatenate([both, np.linalg.inv(both[:, :, :3])], 2), anchors)
        share = torch.stack([1.0 - anchors[:, SKIN], anchors[:, SKIN]], 1)
        blended = (share @ placed.reshape(2, -1)).reshape(-1, 3, 7)
        self.back = blended[:, :, 4:6]
        self.points = (blended[:, :, :3] @ anchors[:, POINT, None])[..., 0] + blended[:, :, 3]

    def measured(self, sway: Float[torch.Tensor, " S"], camera: Camera) -> Float[torch.Tensor, "N 2"]:
        """How far across the image from there the anchors were measured to be, focal lengths."""
        place = self.anchors[:, PLACE]
        seen_px = place * sent([camera.width, camera.height], place) + bilinear(sway, place) * camera.height
        seen = (seen_px - sent([camera.cx_px, camera.cy_px], place)) / camera.focal_px
        return seen - self.points[:, :2] / self.points[:, 2:]

    def usual(self, code: Float[torch.Tensor, "6"]) -> Float[torch.Tensor, "N 2"]:
        """How far they usually are at a code of the head's pose."""
        rows = self.anchors[:, USUAL].reshape(-1, 7, 2)
        return rows[:, 0] + torch.einsum("k,nkd->nd", code, rows[:, 1:])

    def shift(self, across: Float[torch.Tensor, "N 2"]) -> Float[torch.Tensor, "N 3"]:
        """In head space."""
        off = across * self.points[:, 2:] * self.anchors[:, WEIGHT, None]
        return (self.back @ off[..., None])[..., 0]


def bilinear(sway: Float[torch.Tensor, " S"], place: Float[torch.Tensor, "N 2"]) -> Float[torch.Tensor, "N 2"]:
    """Displacements at places between control points, image heights."""
    field = sway.reshape(1, SWAY_GRID, SWAY_GRID, 2).permute(0, 3, 1, 2)
    at = (2.0 * place - 1.0)[None, None]
    return torch.nn.functional.grid_sample(field, at, padding_mode="border", align_corners=True)[0, :, 0].T


def learn_usual(
    anchors: Float[torch.Tensor, "N 21"],
    codes: Float[np.ndarray, "T 6"],
    sway: Float[np.ndarray, "T S"],
    transforms: Callable[[int], Transforms],
    camera: Camera,
) -> None:
    """Fill in the anchors' regression, by ridge regression over the training frames."""
    x = np.concatenate([np.ones((len(codes), 1)), codes], axis=1)
    penalty = RIDGE * len(x) * np.diag([0.0] + [1.0] * 6)
    solver = torch.from_numpy(np.linalg.solve(x.T @ x + penalty, x.T)).to(anchors)
    rows = torch.nonzero(anchors[:, WEIGHT])[:, 0]
    swaying, total = anchors[rows], torch.zeros(len(rows), 7, 2).to(anchors)
    for i, row in enumerate(sway):
        across = Carried(swaying, transforms(i)).measured(torch.from_numpy(row).to(anchors), camera)
        total += solver[:, i, None] * across[:, None, :]
    swaying[:, USUAL] = total.reshape(-1, 14)
    anchors[rows] = swaying
