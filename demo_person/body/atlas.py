"""Where each material lies in the one texture (2048 x 2048): (u0, v0, u1, v1), v down."""

from __future__ import annotations

import numpy as np

ATLAS = 2048
SKIN = (0.0, 0.0, 1.0, 0.60)
EYE = (0.0, 0.61, 0.20, 0.81)
TEETH = (0.21, 0.61, 0.49, 0.70)
TONGUE = (0.50, 0.61, 0.70, 0.70)
EAR = (0.71, 0.61, 0.99, 0.80)
HAIR = (0.21, 0.71, 0.70, 0.81)
COLLAR = (0.0, 0.82, 0.39, 1.0)
KNIT = (0.40, 0.82, 1.0, 1.0)

LONGITUDE_RANGE = np.deg2rad(125.0)
SKIN_TOP, SKIN_BOTTOM = 0.15, -0.30
UNDERCUT = 0.35
"""How far a metre towards the back moves down in the skin's texture: gives the chin's underside room."""


def place(box: tuple[float, float, float, float], s: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Texture coordinates of (s, t) in [0,1] of a box, with a margin against bleeding."""
    margin = 2.5 / ATLAS
    u = box[0] + margin + np.clip(s, 0, 1) * (box[2] - box[0] - 2 * margin)
    v = box[1] + margin + np.clip(t, 0, 1) * (box[3] - box[1] - 2 * margin)
    return np.stack([u, v], axis=-1)


def skin_uv(points: np.ndarray) -> np.ndarray:
    """[...,2] of points on the head at rest: longitude across, height down."""
    longitude = np.arctan2(points[..., 0], points[..., 2] + 0.012)
    height = points[..., 1] + UNDERCUT * points[..., 2]
    s = longitude / LONGITUDE_RANGE / 2 + 0.5
    return place(SKIN, s, (SKIN_TOP - height) / (SKIN_TOP - SKIN_BOTTOM))


def pixels(box: tuple[float, float, float, float]) -> tuple[slice, slice]:
    """Rows and columns of a box."""
    u0, v0, u1, v1 = (round(x * ATLAS) for x in box)
    return slice(v0, v1), slice(u0, u1)
