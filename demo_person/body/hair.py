"""Short hair: a shell with volume over the scalp, and strands drawn over it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo_person.body.atlas import HAIR, place
from demo_person.body.head import SKULL_CENTRE, Skin
from demo_person.drawing.geometry import Mesh, incidence, vertex_normals
from gtalk.dataset.format import MaskClass
from gtalk.geometry.easing import smoothstep

# Height of the hairline over the longitude (0 at the nose, 180 at the back), degrees and metres.
HAIRLINE = np.array(
    [[0, 0.0655], [18, 0.0665], [34, 0.0655], [46, 0.0560], [55, 0.0400], [63, 0.020], [70, 0.000], [76, -0.022],
     [84, -0.030], [92, 0.000], [100, 0.004], [110, -0.030], [125, -0.055], [150, -0.075], [180, -0.085]]
)  # fmt: skip


@dataclass(frozen=True)
class Strands:
    """Curves of hair in head space."""

    points: np.ndarray
    """[S,P,3] from root to tip."""
    normal: np.ndarray
    """[S,3] out of the head, at the root."""
    shade: np.ndarray
    """[S] lightness of a strand, about 1."""


def hair_cover(points: np.ndarray, fade: float = 0.016) -> np.ndarray:
    """How much hair grows at points of the scalp at rest: 0 none, 1 full; soft across the hairline."""
    longitude = np.abs(np.degrees(np.arctan2(points[..., 0], points[..., 2] - SKULL_CENTRE[2])))
    line = np.interp(longitude, HAIRLINE[:, 0], HAIRLINE[:, 1])
    # A hairline is never a ruled line.
    x = points[..., 0] * 1000
    line = line + 0.0016 * np.sin(x * 0.31 + 1) + 0.0011 * np.sin(x * 0.83) + 0.0007 * np.sin(x * 1.9 + 2)
    return smoothstep(0, 1, (points[..., 1] - line) / fade)


def thickness(points: np.ndarray) -> np.ndarray:
    """Height of the hair's surface above the scalp, metres."""
    cover = smoothstep(0.30, 1.0, hair_cover(points, 0.020))
    up = smoothstep(0.04, 0.105, points[..., 1])
    front = smoothstep(-0.03, 0.07, points[..., 2])
    part = points[..., 0] * 1000
    wave = 0.0010 * np.sin(part * 0.22 + points[..., 2] * 160) + 0.0008 * np.sin(part * 0.47 - points[..., 2] * 90 + 1)
    return cover * (0.0075 + up * (0.0090 + 0.0065 * front) + wave * (0.3 + up))


def shell(skin: Skin, surface: np.ndarray, normals: np.ndarray) -> tuple[Mesh, np.ndarray]:
    """The hair's outer surface over the skin at rest, and which skin vertex each of its own comes from."""
    cover = hair_cover(surface, 0.020)
    is_scalp = skin.fine_label == MaskClass.HEAD
    kept = (cover[skin.fine_triangles].max(1) > 0.02) & is_scalp
    used, triangles = np.unique(skin.fine_triangles[kept], return_inverse=True)
    base = surface[used]
    height = thickness(base)
    lean = np.stack([0 * height, 0.25 * height, -0.15 * height], axis=1)
    points = (
        base
        + normals[used] * (height - 0.0016 * smoothstep(0.6, 0.2, cover[used]))[:, None]
        + lean * cover[used][:, None]
    )
    longitude = np.arctan2(base[:, 0], base[:, 2] - SKULL_CENTRE[2])
    uv = place(HAIR, longitude / (2 * np.pi) + 0.5, (0.135 - base[:, 1] - 0.4 * np.minimum(base[:, 2], 0)) / 0.24)
    triangles = triangles.reshape(-1, 3)
    return Mesh(points, triangles, uv, np.full(len(triangles), MaskClass.HEAD)), used


def grow(mesh: Mesh, seed: int = 5, count: int = 5200) -> Strands:
    """Strands over the shell: combed up and back from the forehead, down at the sides, in loose clumps."""
    random = np.random.default_rng(seed)
    normals = vertex_normals(mesh.points, mesh.triangles, incidence(mesh.triangles, len(mesh.points)))
    corners = mesh.points[mesh.triangles]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    front = smoothstep(-0.06, 0.0, corners[:, :, 2].mean(1)) + 0.08
    chosen = random.choice(len(area), count, p=area * front / (area * front).sum())
    weight = random.dirichlet(np.ones(3), count)
    root = (corners[chosen] * weight[..., None]).sum(1)
    normal = (normals[mesh.triangles[chosen]] * weight[..., None]).sum(1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    cover = hair_cover(root, 0.02)
    flow = comb(root)
    clump = np.stack([np.sin(root @ k * 1000 + p) for k, p in zip(_WAVES, (0.3, 1.7, 4.0), strict=True)], axis=1)
    flow = flow + 0.30 * clump + 0.16 * random.standard_normal((count, 3))
    flow -= normal * (flow * normal).sum(1, keepdims=True)
    flow /= np.linalg.norm(flow, axis=1, keepdims=True)
    top = smoothstep(0.045, 0.09, root[:, 1])
    length = (0.010 + 0.020 * top) * random.uniform(0.6, 1.25, count) * (0.45 + 0.55 * cover)
    t = np.linspace(0, 1, 7)[None, :, None]
    lift = (0.10 + 0.30 * top * random.uniform(0, 1, count))[:, None, None]
    along = length[:, None, None] * t
    # The head curves away beneath a strand; it leans with gravity towards its tip.
    curve = -(along**2) / (2 * 0.085) * 0.8
    points = root[:, None] + flow[:, None] * along + normal[:, None] * (lift * along * (1 - 0.5 * t) + curve - 0.0008)
    points[..., 1] -= (0.10 * length)[:, None] * t[..., 0] ** 2
    shade = np.exp(0.25 * random.standard_normal(count) + 0.16 * clump[:, 0])
    return Strands(points, normal, shade)


_WAVES = np.array([[0.21, 0.05, 0.12], [0.09, 0.26, -0.13], [-0.15, 0.11, 0.24]])


def comb(points: np.ndarray) -> np.ndarray:
    """[...,3] direction of the comb: back over the top with a parting sweep, down and back at the sides."""
    top = smoothstep(0.035, 0.085, points[..., 1])[..., None]
    side = np.sign(points[..., 0])[..., None]
    over = np.array([0.45, 0.45, -0.8]) + 0.0 * side
    down = np.concatenate([0.0 * side, 0 * side - 0.9, 0 * side - 0.55], axis=-1)
    return top * over + (1 - top) * down
