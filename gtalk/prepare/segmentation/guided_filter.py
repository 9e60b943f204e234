"""Guided filter: an image-like array made to follow the edges of an image.

He, Sun, Tang: Guided Image Filtering (PAMI 2013), colour guide, equations 19-21; its coefficients are
computed at half size as in He, Sun: Fast Guided Filter (2015). With box filters its cost does not
depend on the radius.
"""

from __future__ import annotations

import cv2
import numpy as np

from gtalk.shapes import Float, UInt8


def guided_filter(
    guide: UInt8[np.ndarray, "H W 3"],
    values: Float[np.ndarray, "H W"],
    radius: int,
    epsilon: float = 1e-4,
    subsample: int = 2,
) -> Float[np.ndarray, "H W"]:
    """The local linear function of `guide` that is nearest to `values` (float32, in their own range).

    Args:
        guide: the image whose edges the result takes.
        values: what is filtered.
        radius: half width of the window, pixels.
        epsilon: variance of the guide (0 to 1 scale) below which it counts as flat.
        subsample: the coefficients are computed on an image so many times smaller.
    """
    height, width = values.shape
    small_size = (max(1, width // subsample), max(1, height // subsample))
    small = cv2.resize(guide, small_size, interpolation=cv2.INTER_AREA).astype(np.float32) * np.float32(1 / 255)
    target = cv2.resize(values.astype(np.float32), small_size, interpolation=cv2.INTER_AREA)
    window = (2 * max(1, round(radius / subsample)) + 1,) * 2

    def means(planes: np.ndarray) -> np.ndarray:
        return np.stack([cv2.boxFilter(plane, -1, window, borderType=cv2.BORDER_REFLECT) for plane in planes])

    colour = np.stack(cv2.split(small))
    averages = means(np.concatenate([colour, target[None], colour * target, _products(colour)]))
    mean, target_mean = averages[:3], averages[3]
    slope = _solve(averages[7:] - _products(mean), averages[4:7] - mean * target_mean, epsilon)
    offset = target_mean - np.einsum("chw,chw->hw", slope, mean)
    coefficients = means(np.concatenate([slope, offset[None]]))
    *slopes, result = (cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in coefficients)
    for slope, channel in zip(slopes, cv2.split(guide), strict=True):
        result += slope * (channel * np.float32(1 / 255))
    return result


def _products(rgb: np.ndarray) -> np.ndarray:
    """rr, rg, rb, gg, gb, bb of planes."""
    r, g, b = rgb
    return np.stack([r * r, r * g, r * b, g * g, g * b, b * b])


def _solve(pairs: np.ndarray, right: np.ndarray, epsilon: float) -> np.ndarray:
    """Solve the symmetric 3x3 system of every pixel by cofactors; planes in, planes out."""
    rr, rg, rb, gg, gb, bb = pairs
    rr, gg, bb = rr + epsilon, gg + epsilon, bb + epsilon
    c_rr, c_rg, c_rb = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    c_gg, c_gb, c_bb = rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg
    scale = 1.0 / (rr * c_rr + rg * c_rg + rb * c_rb)
    x, y, z = right
    return np.stack(
        [
            (c_rr * x + c_rg * y + c_rb * z) * scale,
            (c_rg * x + c_gg * y + c_gb * z) * scale,
            (c_rb * x + c_gb * y + c_bb * z) * scale,
        ]
    )
