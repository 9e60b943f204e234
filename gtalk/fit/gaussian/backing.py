"""What a clip from the front never shows but a turned head needs: the sides and back of a skull, and a neck.

A head-shaped prior: half an ellipsoid behind the tracked mesh and half a cylinder below it. They begin hidden behind
face and hair, where a fit hardly touches them, and fill what would be a hole when the head turns beyond the clip.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from gtalk.shapes import Bool, Float

SKULL_RADII_M = (0.13, 0.10)  # up and back; sideways as wide as the mesh
SKULL_UP_M = 0.025  # its middle above the mesh's
INSIDE = 0.93  # of the outline, so that nothing stands out in front
NECK_RADIUS_M, NECK_LOW_M, NECK_BEHIND_M = 0.05, 0.17, 0.045
NECK_SHARE = 0.25  # of the Gaussians


class Surface(NamedTuple):
    """Points of a surface in head space."""

    points: Float[np.ndarray, "N 3"]
    normal: Float[np.ndarray, "N 3"]
    spacing_m: float


def backing_surface(mesh: Float[np.ndarray, "P 3"], count: int) -> tuple[Surface, Surface]:
    """(skull, neck) behind a mesh, `count` points in all."""
    centre, back = mesh.mean(0), mesh[:, 2].min()
    half = INSIDE * float(np.abs(mesh[:, 0] - centre[0]).max())
    n_neck = max(4, round(NECK_SHARE * count))
    ticks, turn = np.arange(max(4, count - n_neck)) + 0.5, np.pi * (3.0 - np.sqrt(5.0))
    depth = ticks / len(ticks)  # evenly over half a sphere (Fibonacci's spiral)
    ring = np.sqrt(1.0 - depth**2)
    unit = np.stack([ring * np.cos(turn * ticks), ring * np.sin(turn * ticks), -depth], 1)
    radii = np.array([half, INSIDE * SKULL_RADII_M[0], SKULL_RADII_M[1]])
    skull = unit * radii + [centre[0], centre[1] + SKULL_UP_M, back]
    area = 2.0 * np.pi * float(np.mean([radii[0] * radii[1], radii[1] * radii[2], radii[0] * radii[2]]))
    angle = np.pi * (1.0 + (ticks[:n_neck] * 0.618034) % 1.0)  # the half that looks back
    height = centre[1] - (ticks[:n_neck] / n_neck) * NECK_LOW_M
    around = np.stack([np.cos(angle), np.zeros(len(angle)), np.sin(angle)], 1)
    neck = around * NECK_RADIUS_M + np.stack([np.full(len(angle), centre[0]), height, height * 0 + back], 1)
    neck[:, 2] -= NECK_BEHIND_M - NECK_RADIUS_M / 2
    return (
        Surface(skull, _unit(unit / radii), float(np.sqrt(area / len(skull)))),
        Surface(neck, around, float(np.sqrt(np.pi * NECK_RADIUS_M * NECK_LOW_M / n_neck))),
    )


def nearest_pixels(shown: Bool[np.ndarray, "H W"], pixels: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "N 2"]:
    """For each pixel position the nearest of an image that is shown."""
    labels = cv2.distanceTransformWithLabels((~shown).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)[
        1
    ]
    y, x = np.nonzero(shown)
    place = np.zeros((labels.max() + 1, 2))
    place[labels[y, x]] = np.stack([x, y], 1) + 0.5
    column = np.clip(pixels[:, 0].astype(int), 0, shown.shape[1] - 1)
    row = np.clip(pixels[:, 1].astype(int), 0, shown.shape[0] - 1)
    return place[labels[row, column]]


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
