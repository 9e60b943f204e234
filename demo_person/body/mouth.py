"""Teeth in two rows and a tongue."""

from __future__ import annotations

import numpy as np

from demo_person.body.atlas import TEETH, TONGUE, place
from demo_person.body.rig import JAW_HINGE
from demo_person.drawing.geometry import Mesh, grid_triangles
from gtalk.dataset.format import MaskClass
from gtalk.geometry.easing import smoothstep

UPPER_WIDTHS = (8.6, 6.6, 7.6, 7.0, 6.8, 9.5)  # millimetres, from the middle outwards
LOWER_WIDTHS = (5.4, 5.9, 6.8, 7.0, 7.1, 10.0)


def teeth_row(rest_lip: np.ndarray, *, upper: bool) -> Mesh:
    """A row of teeth with its gum. `rest_lip` is the middle of the upper inner lip's edge."""
    widths = np.array(UPPER_WIDTHS if upper else LOWER_WIDTHS) / 1000
    borders = np.concatenate([[0], np.cumsum(widths)])
    half = borders[-1] * 0.999
    arc = np.linspace(-half, half, 169)
    index = np.searchsorted(borders, np.abs(arc), side="right") - 1
    local = (np.abs(arc) - borders[index]) / widths[index] * 2 - 1  # -1..1 across one tooth
    x, z = _arch(arc, 0.0245 if upper else 0.0225)
    down = np.linspace(0, 1, 15)  # from the gum to the biting edge
    height = np.array([9.8, 8.6, 9.6, 8.0, 7.4, 6.6])[index] / 1000 * (1.0 if upper else 0.86)
    gum = 0.005
    edge_round = 1 - 0.07 * np.abs(local) ** 3
    length = gum + height * edge_round
    bulge = 0.00075 * (1 - np.abs(local) ** 2.6)[None] * np.sin(np.pi * np.clip(down * 1.1, 0, 1) ** 0.7)[:, None]
    thickness = -0.0016 * smoothstep(0.86, 1.0, down)[:, None]  # the edge turns inwards
    out = bulge + thickness - 0.0008 * (1 - smoothstep(0.15, 0.4, down))[:, None]
    normal = np.stack([x / 0.0245, np.maximum(z + 0.02, 0.002) / 0.02], axis=1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    points = np.empty((len(down), len(arc), 3))
    points[..., 0] = x + out * normal[:, 0]
    points[..., 2] = z + out * normal[:, 1]
    sign = 1 if upper else -1
    edge_y = -0.0012 if upper else -0.0026
    full = length[None] * (1 - down[:, None])
    points[..., 1] = edge_y + sign * (full + (height.max() - height) * 0.35)
    points += rest_lip + np.array([0, 0, -0.0058 if upper else -0.0082])
    flat = points.reshape(-1, 3)
    triangles = grid_triangles(*points.shape[:2])
    tooth = np.clip((down[:, None] * length[None] - gum) / height, -0.5, 1)  # <0: gum
    s = np.broadcast_to((np.abs(local) + 1e-3)[None], tooth.shape)
    uv = place(TEETH, s.ravel(), (tooth.ravel() + 0.5) / 1.5)
    return Mesh(flat, triangles if upper else triangles[:, ::-1], uv, np.full(len(triangles), MaskClass.MOUTH))


def _arch(arc: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """X and z of the dental arch at a distance along it: an ellipse, walked numerically."""
    angle = np.linspace(0, np.pi * 0.56, 400)
    x, z = width * np.sin(angle), -0.034 * (1 - np.cos(angle))
    walked = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(z)))])
    at = np.interp(np.abs(arc), walked, angle)
    return np.sign(arc) * width * np.sin(at), -0.034 * (1 - np.cos(at))


def tongue(rest_lip: np.ndarray) -> Mesh:
    """The tongue at rest behind the lower teeth."""
    along = np.linspace(0, 1, 22)  # tip to root
    across = np.linspace(-1, 1, 25)
    a, c = np.meshgrid(along, across, indexing="ij")
    tip = np.sqrt(np.clip(1 - (1 - np.clip(a / 0.35, 0, 1)) ** 2, 0, 1))
    x = 0.0185 * c * (0.15 + 0.85 * tip)
    dome = (1 - np.abs(c) ** 2.4) * (0.35 + 0.65 * tip)
    groove = 0.0012 * np.exp(-((c / 0.10) ** 2)) * smoothstep(0.05, 0.3, a)
    y = -0.0125 + 0.0085 * dome + 0.004 * a - groove
    z = -0.0115 - 0.042 * a
    points = np.stack([x, y, z], axis=-1).reshape(-1, 3) + rest_lip
    triangles = grid_triangles(len(along), len(across))[:, ::-1]
    uv = place(TONGUE, (c.ravel() + 1) / 2, a.ravel())
    return Mesh(points, triangles, uv, np.full(len(triangles), MaskClass.MOUTH))


def with_jaw(points: np.ndarray, angle: float) -> np.ndarray:
    """Points of the lower jaw, opened."""
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    return (points - JAW_HINGE) @ turn.T + JAW_HINGE


def moved_tongue(rest: np.ndarray, jaw: float, lift: float) -> np.ndarray:
    """The tongue in an open jaw, its tip raised by `lift` (0 to 1)."""
    tip = smoothstep(rest[:, 2].min() + 0.008, rest[:, 2].max(), rest[:, 2])
    points = with_jaw(rest, jaw * 0.93)
    points[:, 1] += lift * (0.0085 * tip + 0.002)
    points[:, 2] += lift * 0.0035 * tip
    return points
