"""Which triangle of a mesh each pixel shows: by our own rasteriser, or by pytorch3d's where that is installed.

Both follow the same rules. Pixel (i, j) is asked at its centre, (i + 0.5, j + 0.5). The nearest triangle wins, from
whichever side it is seen. Inside a triangle, weights and depth are those of perspective: with screen weights w and
corner depths z, depth = 1 / sum(w / z) and weights = (w / z) * depth.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import numpy as np

from gtalk.errors import UserError
from gtalk.shapes import Float, Int

Backend = Literal["auto", "own", "pytorch3d"]


@dataclass(frozen=True)
class Seen:
    """What an image of a mesh shows. Pixels without a mesh: triangle -1, depth infinite, weights 0."""

    triangle: Int[np.ndarray, "H W"]
    depth: Float[np.ndarray, "H W"]
    """In the units of the corners' depth."""
    weights: Float[np.ndarray, "H W 3"]
    """Of the triangle's corners, sum 1."""


def rasterise(
    points_px: Float[np.ndarray, "V 2"],
    depth: Float[np.ndarray, " V"],
    triangles: Int[np.ndarray, "F 3"],
    size: tuple[int, int],
    backend: Backend = "auto",
) -> Seen:
    """The visible triangles of a mesh.

    Args:
        points_px: corners in the image, y down, pixel centres at halves.
        depth: of each corner along the camera's axis, positive before the camera. A triangle with a corner that is
            not before it is left out.
        triangles: corners of each.
        size: (width, height) of the image.
        backend: "own"; "pytorch3d" (Ravi et al., arXiv:2007.08501); "auto" takes pytorch3d where it is installed.

    Raises:
        UserError: pytorch3d was asked for and is not installed.
    """
    if backend == "pytorch3d" and find_spec("pytorch3d") is None:
        raise UserError(
            "rasteriser",
            expected="pytorch3d to be installed",
            got="no such package",
            remedy='Leave "auto", which does without, or install gtalk with its extra `mesh`.',
        )
    ahead = (depth[triangles] > 0).all(1)
    use_own = backend == "own" or (backend == "auto" and find_spec("pytorch3d") is None)
    seen = (_own if use_own else _by_pytorch3d)(points_px, depth, triangles[ahead], size)
    number = np.append(np.flatnonzero(ahead), -1)
    return Seen(number[seen.triangle], seen.depth, seen.weights)


def _own(points_px: np.ndarray, depth: np.ndarray, triangles: np.ndarray, size: tuple[int, int]) -> Seen:
    """All pixels of all triangles' boxes at once; memory grows with the sum of the boxes' areas."""
    width, height = size
    corners = points_px[triangles].astype(np.float64)
    low = np.clip(np.ceil(corners.min(1) - 0.5), 0, None).astype(np.int64)
    high = np.minimum(np.floor(corners.max(1) - 0.5).astype(np.int64), [width - 1, height - 1])
    across, down = np.maximum(high - low + 1, 0).T
    row = np.repeat(np.arange(len(triangles)), across * down)
    within = np.arange(len(row)) - np.repeat(np.cumsum(across * down) - across * down, across * down)
    x, y = low[row, 0] + within % across[row], low[row, 1] + within // across[row]
    centre = np.column_stack([x + 0.5, y + 0.5])
    a, b, c = (corners[row, i] - centre for i in range(3))
    weights = np.stack([_cross(b, c), _cross(c, a), _cross(a, b)])
    inside = (weights > 0).all(0) | (weights < 0).all(0)
    row, pixel, weights = row[inside], (y * width + x)[inside], weights[:, inside].T
    share = weights / weights.sum(1, keepdims=True) / depth[triangles[row]]
    near = 1 / share.sum(1)
    nearest, triangle = np.full(width * height, np.inf), np.full(width * height, -1, np.int64)
    mixed = np.zeros((width * height, 3))
    order = np.argsort(-near)  # the nearest is written last
    nearest[pixel[order]] = near[order]
    triangle[pixel[order]] = row[order]
    mixed[pixel[order]] = (share * near[:, None])[order]
    return Seen(triangle.reshape(height, width), nearest.reshape(height, width), mixed.reshape(height, width, 3))


def _by_pytorch3d(points_px: np.ndarray, depth: np.ndarray, triangles: np.ndarray, size: tuple[int, int]) -> Seen:
    """pytorch3d looks along +z with x to the left and y up; the image's shorter side spans -1 to 1."""
    import torch
    from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes
    from pytorch3d.structures import Meshes

    width, height = size
    if not len(triangles):
        return _own(points_px, depth, triangles, size)
    screen = (np.array([width, height]) / 2 - points_px) * (2 / min(width, height))
    corners = torch.from_numpy(np.column_stack([screen, depth]).astype(np.float32))
    triangle, near, weights, _ = rasterize_meshes(
        Meshes(verts=[corners], faces=[torch.from_numpy(triangles.astype(np.int64))]),
        image_size=(height, width),
        blur_radius=0.0,
        faces_per_pixel=1,
        perspective_correct=True,
        cull_backfaces=False,
    )
    triangle = triangle[0, ..., 0].numpy()
    empty = triangle < 0
    near = np.where(empty, np.inf, near[0, ..., 0].numpy().astype(np.float64))
    return Seen(triangle, near, np.where(empty[..., None], 0.0, weights[0, ..., 0, :].numpy().astype(np.float64)))


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
