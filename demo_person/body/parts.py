"""Eyeballs and ears."""

from __future__ import annotations

import numpy as np

from demo_person.body.atlas import EAR, EYE, place
from demo_person.body.head import EYEBALL_RADIUS, gaze_rotation
from demo_person.drawing.geometry import Mesh, grid_triangles
from gtalk.dataset.format import MaskClass
from gtalk.geometry.easing import smoothstep

EYE_EXTENT = np.deg2rad(80.0)


def eyeball(centre: np.ndarray) -> Mesh:
    """The front of an eyeball; the texture turns, the sphere does not need to."""
    polar, around = np.meshgrid(np.linspace(0.002, 1.45, 26), np.arange(44) / 44 * 2 * np.pi, indexing="ij")
    ray = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], axis=-1)
    points = ray.reshape(-1, 3) * EYEBALL_RADIUS
    triangles = grid_triangles(*polar.shape, wrap=True)
    return Mesh(points + centre, triangles, eye_uv(points, np.zeros(2)), np.full(len(triangles), MaskClass.EYES))


def eye_uv(from_centre: np.ndarray, gaze: np.ndarray) -> np.ndarray:
    """[V,2] texture coordinates of points on an eyeball that looks along gaze [2]: angle from the axis of sight."""
    ray = from_centre @ gaze_rotation(gaze) / np.linalg.norm(from_centre, axis=1, keepdims=True)
    angle = np.arccos(np.clip(ray[:, 2], -1, 1)) / EYE_EXTENT
    flat = np.maximum(np.linalg.norm(ray[:, :2], axis=1), 1e-9)
    return place(EYE, 0.5 + 0.5 * angle * ray[:, 0] / flat, 0.5 - 0.5 * angle * ray[:, 1] / flat)


def ear(side: int) -> Mesh:
    """An ear: helix, antihelix, bowl, tragus and lobe over a disc. side is -1 on the picture's left."""
    rho = np.concatenate([np.linspace(0.0, 1.0, 26), [1.02, 0.97, 0.85, 0.62, 0.45]])
    theta = np.arange(72) / 72 * 2 * np.pi
    r, t = np.meshgrid(rho, theta, indexing="ij")
    cosine, sine = np.cos(t), np.sin(t)  # cosine +1 at the back, sine +1 at the top
    width = 0.0170 * (1 - 0.30 * smoothstep(0.0, -1.0, sine)) * (1 + 0.12 * smoothstep(0.1, 0.8, sine))
    height = np.where(sine > 0, 0.0300, 0.0315)
    a, b = width * cosine * r, height * sine * r
    front = smoothstep(-0.55, -0.95, cosine) * smoothstep(0.75, 0.3, np.abs(sine))
    lobe = smoothstep(-0.45, -0.85, b / 0.0315)
    helix = (1 - front) * (1 - lobe)
    relief = 0.0036 * helix * np.exp(-(((r - 0.94) / 0.075) ** 2))
    relief -= 0.0018 * helix * np.exp(-(((r - 0.78) / 0.07) ** 2))
    relief += 0.0030 * (1 - lobe) * smoothstep(-0.5, 0.3, cosine) * np.exp(-(((r - 0.60) / 0.10) ** 2))
    bowl = np.hypot((a + 0.0035) / 0.0085, (b + 0.003) / 0.0120)
    relief -= 0.0075 * smoothstep(1.0, 0.35, bowl)
    tragus = np.hypot((a + 0.0125) / 0.0040, (b + 0.003) / 0.0060)
    relief += 0.0045 * np.exp(-(tragus**2))
    relief += 0.0012 * lobe * (1 - r)
    row = np.arange(len(rho))[:, None]
    behind = np.maximum(row - 25, 0)
    relief = np.where(behind > 0, np.array([0, 0.0002, -0.0022, -0.0050, -0.010, -0.018])[behind], relief)
    tilt = np.deg2rad(30)
    back = np.array([np.sin(tilt) * side, 0.06, -np.cos(tilt)])
    outward = np.array([np.cos(tilt) * side, 0.05, np.sin(tilt)])
    up = np.array([0.05 * side, 1.0, -0.16])
    centre = np.array([0.0755 * side, -0.0215, -0.0085])
    points = centre + a[..., None] * back + b[..., None] * up + relief[..., None] * outward
    triangles = grid_triangles(*r.shape, wrap=True)
    if side > 0:
        triangles = triangles[:, ::-1]
    s = np.where(behind > 0, 0.98, r)
    uv = place(EAR, 0.5 + 0.5 * s * cosine, 0.5 - 0.5 * s * sine)
    return Mesh(points.reshape(-1, 3), triangles, uv.reshape(-1, 2), np.full(len(triangles), MaskClass.HEAD))
