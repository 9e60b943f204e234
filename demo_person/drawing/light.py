"""Light: a soft room around the person, and how much of it reaches every vertex past everything else.

Visibility towards a fixed set of directions is baked once at rest (precomputed radiance transfer in a
directional basis: Sloan, Kautz, Snyder 2002); each frame turns the room into the head's frame instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo_person.drawing.raster import rasterise

MAP_SIZE = 288
EXTENT_M = 0.62
N_DIRECTIONS = 72


@dataclass(frozen=True)
class Lamp:
    """A soft light: a direction towards it, colour times strength, and sharpness of its lobe."""

    towards: tuple[float, float, float]
    colour: tuple[float, float, float]
    sharpness: float


KEY = Lamp((-0.62, 0.62, 0.72), (3.10, 2.86, 2.58), 9.0)
FILL = Lamp((0.85, 0.10, 0.70), (0.92, 0.98, 1.08), 4.0)
RIM = Lamp((0.80, 0.45, -0.55), (1.7, 1.75, 1.9), 9.0)
LAMPS = (KEY, FILL, RIM)
SKY, GROUND = np.array([0.50, 0.53, 0.58]), np.array([0.20, 0.17, 0.15])


def unit(vector: tuple[float, float, float] | np.ndarray) -> np.ndarray:
    """A vector of length one."""
    array = np.asarray(vector, float)
    return array / np.linalg.norm(array)


def room(directions: np.ndarray) -> np.ndarray:
    """[K,3] light that comes from directions in the world."""
    up = directions[:, 1:2] * 0.5 + 0.5
    light = GROUND + (SKY - GROUND) * up
    for lamp in LAMPS:
        lobe = np.exp(lamp.sharpness * (directions @ unit(lamp.towards) - 1))
        light = light + lobe[:, None] * np.array(lamp.colour)
    return light


def sphere_directions(count: int = N_DIRECTIONS) -> np.ndarray:
    """[K,3] evenly spread (Fibonacci lattice)."""
    i = np.arange(count) + 0.5
    z, phi = 1 - 2 * i / count, np.pi * (1 + 5**0.5) * i
    flat = np.sqrt(1 - z * z)
    return np.stack([flat * np.cos(phi), z, flat * np.sin(phi)], axis=1)


def visibility(points: np.ndarray, normals: np.ndarray, triangles: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """[V,K] share of each direction that reaches a vertex, by one shadow map per direction."""
    result = np.empty((len(points), len(directions)), np.float32)
    centre = (points.min(0) + points.max(0)) / 2
    scale = MAP_SIZE / EXTENT_M
    lifted = points + normals * 0.0012
    for k, direction in enumerate(directions):
        across = unit(np.cross([0.31, 0.85, 0.42], direction))
        axes = np.stack([across, np.cross(direction, across), direction])
        local = (points - centre) @ axes.T
        seen = np.stack([local[:, 0] * scale + MAP_SIZE / 2, MAP_SIZE / 2 - local[:, 1] * scale, 2 - local[:, 2]], 1)
        fragments = rasterise(seen, triangles, MAP_SIZE, MAP_SIZE, perspective=False)
        depth = np.full(MAP_SIZE * MAP_SIZE, 9.0, np.float32)
        depth[fragments.pixel] = fragments.depth
        local = (lifted - centre) @ axes.T
        x, y = local[:, 0] * scale + MAP_SIZE / 2, MAP_SIZE / 2 - local[:, 1] * scale
        own = 2 - local[:, 2]
        lit = np.zeros(len(points))
        for dx, dy in ((0, 0), (1, 0.4), (-0.4, 1), (-1, -0.4), (0.4, -1)):
            column = np.clip(x + dx, 0, MAP_SIZE - 1).astype(np.int64)
            row = np.clip(y + dy, 0, MAP_SIZE - 1).astype(np.int64)
            lit += np.clip(1 - (own - depth[row * MAP_SIZE + column] - 0.0018) / 0.003, 0, 1)
        result[:, k] = lit / 5
    return result


def irradiance(
    normals: np.ndarray, visible: np.ndarray, directions: np.ndarray, light: np.ndarray, wrap: float
) -> np.ndarray:
    """[V,3] light on vertices that a matte white surface would send back; `wrap` lets it reach round edges."""
    cosine = normals.astype(np.float32) @ directions.T.astype(np.float32)
    cosine += wrap
    np.maximum(cosine, 0, out=cosine)
    cosine *= visible
    return cosine @ (light * (4 / len(directions) / (1 + wrap) ** 2)).astype(np.float32)
