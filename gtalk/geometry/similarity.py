"""2D similarities about the image's centre: how a torso or a camera's framing moves.

A similarity is [dx, dy, rotation, log scale], dx and dy in image heights, rotation in radians
(clockwise on the screen, as y points down). With c the image's centre and H its height, a point of the
rest image moves to

    p = c + exp(s) R(theta) (p_rest - c) + (dx, dy) H,    R(theta) = [[cos, -sin], [sin, cos]]

Pixel centres are at .5 here and at whole numbers in OpenCV (`opencv_matrix`).
"""

from __future__ import annotations

import numpy as np
import torch

from gtalk.compute.device import sent
from gtalk.shapes import Float

IDENTITY = np.zeros(4)


def matrices(similarity: Float[np.ndarray, "*batch 4"], size: tuple[int, int]) -> Float[np.ndarray, "*batch 2 3"]:
    """Matrices that take rest pixels to frame pixels (pixel centres at .5), for images of `size`."""
    width, height = size
    centre = np.array([width / 2, height / 2])
    scale = np.exp(similarity[..., 3])
    cos, sin = scale * np.cos(similarity[..., 2]), scale * np.sin(similarity[..., 2])
    linear = np.stack([cos, np.negative(sin), sin, cos], axis=-1).reshape(*cos.shape, 2, 2)
    shift = centre + similarity[..., :2] * height - linear @ centre
    return np.concatenate([linear, shift[..., None]], axis=-1)


def from_matrices(matrix: Float[np.ndarray, "*batch 2 3"], size: tuple[int, int]) -> Float[np.ndarray, "*batch 4"]:
    """Inverse of `matrices`; what is not a similarity in `matrix` is ignored."""
    width, height = size
    centre = np.array([width / 2, height / 2])
    linear = matrix[..., :2]
    cos, sin = linear[..., 0, 0] + linear[..., 1, 1], linear[..., 1, 0] - linear[..., 0, 1]
    shift = (matrix[..., 2] - centre + linear @ centre) / height
    log_scale = np.log(np.hypot(cos, sin) / 2)
    return np.concatenate([shift, np.arctan2(sin, cos)[..., None], log_scale[..., None]], axis=-1)


def compose(first: Float[np.ndarray, "2 3"], then: Float[np.ndarray, "*batch 2 3"]) -> Float[np.ndarray, "*batch 2 3"]:
    """`then` after `first`."""
    linear = then[..., :2] @ first[..., :2]
    return np.concatenate([linear, then[..., :2] @ first[..., 2:] + then[..., 2:]], axis=-1)


def inverse(matrix: Float[np.ndarray, "2 3"]) -> Float[np.ndarray, "2 3"]:
    """The similarity that undoes `matrix`."""
    (a, b), (c, d) = matrix[:, :2]  # by hand: LAPACK's threads take milliseconds to wake for a 2x2
    linear = np.array([[d, -b], [-c, a]]) / (a * d - b * c)
    return np.concatenate([linear, -linear @ matrix[:, 2:]], axis=1)


def apply(matrix: Float[np.ndarray, "2 3"], points: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "N 2"]:
    """Move points."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def opencv_matrix(matrix: Float[np.ndarray, "2 3"]) -> Float[np.ndarray, "2 3"]:
    """The same map for OpenCV's warps."""
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
    return shifted


def crop_matrix(corner_px: Float[np.ndarray, "2"], scale: float) -> Float[np.ndarray, "2 3"]:
    """Takes pixels of an image to those of a crop whose top-left corner lies at `corner_px`."""
    return np.array([[scale, 0.0, -scale * corner_px[0]], [0.0, scale, -scale * corner_px[1]]])


def undo_similarity(
    points: Float[torch.Tensor, "N 2"], similarity: Float[torch.Tensor, "4"], centre: tuple[float, float]
) -> Float[torch.Tensor, "N 2"]:
    """Points of the image to points of the rest image, both in image heights. Differentiable."""
    middle = sent(centre, points)
    dx, dy, angle, log_scale = similarity.unbind(-1)
    shrink = torch.exp(-log_scale)
    cos, sin = torch.cos(angle) * shrink, torch.sin(angle) * shrink
    x, y = (points - middle - torch.stack([dx, dy])).unbind(-1)
    return middle + torch.stack([cos * x + sin * y, cos * y - sin * x], -1)
