"""The avatar's plate: the dataset's, widened by what the camera's shifts bring into view."""

from __future__ import annotations

import cv2
import numpy as np

from gtalk.fit.protocol import FitContext
from gtalk.geometry.similarity import inverse, matrices, opencv_matrix
from gtalk.shapes import Float, UInt8

FRAMES = 72
PERSON_MARGIN = 0.02  # of the height: shadows and hair near the person are not background


def widened_plate(context: FitContext, framing: Float[np.ndarray, "T 3"], margin: float) -> UInt8[np.ndarray, "H W 3"]:
    """The plate with `margin` image heights added on every side, at the clip's own size.

    Training frames are laid where their framing (rows of `framing`, by frame number) puts them, without
    the person, and averaged; the dataset's plate fills what none of them shows, and its edge the rest.
    """
    dataset = context.dataset
    width, height = dataset.size
    pad = round(margin * height)
    size = (width + 2 * pad, height + 2 * pad)
    base = cv2.copyMakeBorder(dataset.background(), pad, pad, pad, pad, cv2.BORDER_REPLICATE).astype(np.float32)
    known = np.zeros(size[::-1], np.float32)
    known[pad : pad + height, pad : pad + width] = 1.0
    total, weight = np.zeros((size[1], size[0], 3), np.float32), np.zeros(size[::-1], np.float32)
    chosen = context.indices[np.linspace(0, len(context.indices) - 1, FRAMES).round().astype(int)]
    kernel = np.ones((2 * round(PERSON_MARGIN * height) + 1,) * 2, np.uint8)
    for index in np.unique(chosen):
        rgb, matte = dataset.frame(int(index)), dataset.matte(int(index))
        seen = (cv2.dilate(matte, kernel) < 8).astype(np.float32)
        matrix = _image_to_plate(framing[index], width, height, pad)
        total += cv2.warpAffine(rgb.astype(np.float32) * seen[..., None], matrix, size)
        weight += cv2.warpAffine(seen, matrix, size)
    outside = (1.0 - known) * np.clip(weight / 2.0, 0.0, 1.0)
    outside = cv2.GaussianBlur(outside, (0, 0), 1.0) * (weight > 0.5)
    mean = total / np.maximum(weight, 1e-3)[..., None]
    plate = base + outside[..., None] * (mean - base)
    return np.clip(plate + 0.5, 0, 255).astype(np.uint8)


def _image_to_plate(framing: np.ndarray, width: int, height: int, pad: int) -> np.ndarray:
    """OpenCV's matrix from image to widened plate."""
    dx, dy, log_scale = framing
    matrix = opencv_matrix(inverse(matrices(np.array([dx, dy, 0.0, log_scale]), (width, height))))
    matrix[:, 2] += pad
    return matrix
