"""Shoulders in a knitted sweater, a shirt collar over it."""

from __future__ import annotations

import numpy as np

from demo_person.body.atlas import COLLAR, KNIT, place
from demo_person.drawing.geometry import Mesh, grid_triangles
from gtalk.dataset.format import MaskClass
from gtalk.geometry.easing import smoothstep

AXIS_Z = -0.028


def sweater() -> Mesh:
    """From the neckline over the shoulders down beyond the picture."""
    rows = np.concatenate([np.linspace(0, 1, 34) ** 1.15, np.linspace(1.05, 2, 22)])
    psi = np.linspace(-np.pi, np.pi, 121)  # 0 at the front
    t, angle = np.meshgrid(rows, psi, indexing="ij")
    flat, down = np.minimum(t, 1), np.maximum(t - 1, 0)
    sine, cosine = np.sin(angle), np.cos(angle)
    half_width = 0.064 + 0.134 * flat + 0.030 * smoothstep(0, 0.5, down)
    depth = 0.064 + 0.052 * flat**0.7 + 0.02 * down
    x = half_width * np.sign(sine) * np.abs(sine) ** 0.9
    z = AXIS_Z + depth * np.sign(cosine) * np.abs(cosine) ** 0.9
    side, front = np.abs(sine) ** 1.5, np.clip(cosine, 0, 1)
    back = np.clip(-cosine, 0, 1)
    y = -0.190 - 0.014 * front + 0.012 * back
    y = y - side * (0.050 * flat**1.1 + 0.030 * flat**5) - front * 0.115 * flat**1.05 - back * 0.03 * flat
    y = y - 0.30 * down
    # Ribbing at the neckline stands up; a few soft folds fall from the shoulders.
    rib = np.exp(-(((t - 0.045) / 0.05) ** 2))
    x, z = x * (1 + 0.03 * rib), z + 0.003 * rib * cosine
    fold = np.sin(angle * 7 + 3 * t) * np.sin(angle * 3.0 + 1.3 - 2 * t) * smoothstep(0.25, 0.8, t) * 0.0032
    z = z + fold * np.clip(cosine + 0.2, 0, 1)
    points = np.stack([x, y, z], axis=-1)
    triangles = grid_triangles(*t.shape)
    uv = place(KNIT, (angle.ravel() / np.pi + 1) / 2, t.ravel() / 2)
    return Mesh(points.reshape(-1, 3), triangles, uv, np.full(len(triangles), MaskClass.TORSO))


def collar() -> Mesh:
    """A band around the neck, folded down, open at the front, with two points."""
    psi = np.linspace(np.deg2rad(7), 2 * np.pi - np.deg2rad(7), 161)
    stand = np.linspace(0, 1, 12)
    fold = np.linspace(0, 1, 18)[1:]
    front = (1 + np.cos(psi)) / 2
    base = -0.206 + 0.022 * (1 - front)
    point = np.exp(-(np.minimum(psi, 2 * np.pi - psi) - psi[0]) / np.deg2rad(24))
    rows_r, rows_y = [], []
    for s in stand:
        rows_r.append(0.0600 - 0.003 * s + 0.004 * front * s)
        rows_y.append(base + 0.030 * s * (1 - 0.25 * front))
    top_r, top_y = rows_r[-1], rows_y[-1]
    for s in fold:
        rows_r.append(top_r + 0.0035 * np.sin(np.pi / 2 * min(1, s * 4)) + (0.012 + 0.010 * point) * s)
        rows_y.append(top_y + 0.002 * np.sin(np.pi * min(1, s * 3)) - (0.033 + 0.022 * point) * s)
    radius, y = np.stack(rows_r), np.stack(rows_y)
    points = np.stack([radius * np.sin(psi), y, AXIS_Z + 0.006 + radius * np.cos(psi) * 1.02], axis=-1)
    # The front edges spread apart below the fold.
    points[..., 0] += 0.017 * np.sign(np.sin(psi)) * point * np.linspace(0, 1, len(radius))[:, None] ** 1.5
    triangles = grid_triangles(*radius.shape)[:, ::-1]
    across, along = np.meshgrid(psi / (2 * np.pi), np.linspace(0, 1, len(radius)))
    uv = place(COLLAR, across.ravel(), along.ravel())
    both = np.concatenate([triangles, triangles[:, ::-1] + radius.size])
    flat = points.reshape(-1, 3)
    inner = flat - 0.0009 * np.stack([np.sin(np.arctan2(flat[:, 0], flat[:, 2])), 0 * flat[:, 0], 0 * flat[:, 0]], 1)
    return Mesh(np.concatenate([flat, inner]), both, np.concatenate([uv, uv]), np.full(len(both), MaskClass.TORSO))
