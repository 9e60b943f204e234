"""A frame as a camera on a stand, with its exposure locked, would have stored it before a room that stands still."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from gtalk.reading.untrusted import read_arrays
from gtalk.shapes import Float, UInt8

LIGHT_FILE = "light.npz"
PATH_FILE = "camera_path.npz"
FAINT, SMALLER = 8, 4  # of 255: so little of a person is none; how much smaller images are in which colours are spread
MOST_GAIN = 8.0
"""A gain beyond this, either way, is damage."""


def evened(rgb: UInt8[np.ndarray, "H W 3"], gain: Float[np.ndarray, "3"] | None) -> UInt8[np.ndarray, "H W 3"]:
    """The image with its channels multiplied; the image itself where `gain` is none or one."""
    if gain is None or (gain == 1.0).all():
        return rgb
    table = np.clip(np.rint(np.arange(256)[:, None] * gain), 0, 255).astype(np.uint8)
    return cv2.LUT(rgb, table[None])


def read_gains(path: Path, n_frames: int) -> Float[np.ndarray, "T 3"] | None:
    """The gains of a dataset; None where all are one. Raises ValueError where they are none."""
    gain = read_arrays(path)["gain"]
    if gain.shape != (n_frames, 3) or gain.dtype.kind != "f":
        raise ValueError(f"gain of shape {gain.shape}, {gain.dtype}")
    if not ((gain > 1 / MOST_GAIN) & (gain < MOST_GAIN)).all():
        raise ValueError("gains that are none")
    return None if (gain == 1.0).all() else gain


def before_plate(
    rgb: UInt8[np.ndarray, "H W 3"], matte: UInt8[np.ndarray, "H W"], plate: UInt8[np.ndarray, "H W 3"]
) -> UInt8[np.ndarray, "H W 3"]:
    """The person of a frame before the plate instead of what was behind.

    Where the person covers a share of a pixel, the rest is taken to be of the colour that the background has nearby.
    """
    left = np.where(matte < FAINT, 255, 255 - matte).astype(np.uint8)
    behind = _nearby(rgb, left)
    change = (plate.astype(np.float32) - behind) * (left.astype(np.float32) / 255)[..., None]
    mixed = np.clip(np.rint(rgb + change), 0, 255).astype(np.uint8)
    return np.where((left == 255)[..., None], plate, mixed)


def _nearby(rgb: np.ndarray, left: np.ndarray) -> np.ndarray:
    """[H,W,3] float32, what of the background lies near each pixel."""
    height, width = left.shape
    small = (max(1, width // SMALLER), max(1, height // SMALLER))
    weight = cv2.resize((left == 255).astype(np.float32), small, interpolation=cv2.INTER_AREA)
    values = cv2.resize(rgb.astype(np.float32), small, interpolation=cv2.INTER_AREA) * (weight > 0.99)[..., None]
    planes = cv2.merge([values, (weight > 0.99).astype(np.float32)])
    total = np.zeros_like(planes)
    for share, trust in ((0.01, 1.0), (0.04, 1e-3), (0.2, 1e-6)):  # the nearest that there is
        total += trust * cv2.GaussianBlur(planes, (0, 0), max(0.8, share * small[1]))
    mean = total[..., :3] / np.maximum(total[..., 3:], 1e-12)
    return cv2.resize(mean, (width, height), interpolation=cv2.INTER_LINEAR)
