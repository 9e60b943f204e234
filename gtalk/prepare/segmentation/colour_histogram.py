"""Colours counted in cells of Lab, where distances are what people see."""

from __future__ import annotations

import cv2
import numpy as np

from gtalk.shapes import Float, Int, UInt8


def cells_of(rgb: UInt8[np.ndarray, "H W 3"], bins: int) -> Int[np.ndarray, "H W"]:
    """Number of the cell of every pixel, with so many bins per channel."""
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB).astype(np.int32) * bins >> 8
    return (lab[..., 0] * bins + lab[..., 1]) * bins + lab[..., 2]


def smoothed(counts: Float[np.ndarray, "P cells"], bins: int) -> Float[np.ndarray, "P cells"]:
    """Counts of P parts, float32, with some of those of neighbouring colours."""
    grid = counts.reshape(-1, bins, bins, bins).astype(np.float32)
    for axis in (1, 2, 3):
        edge = [(0, 0)] + [(1, 1) if a == axis else (0, 0) for a in (1, 2, 3)]
        padded = np.pad(grid, edge, mode="edge")
        before, middle, after = (np.take(padded, range(k, k + bins), axis=axis) for k in range(3))
        grid = 0.25 * before + 0.5 * middle + 0.25 * after
    return grid.reshape(len(counts), -1)
