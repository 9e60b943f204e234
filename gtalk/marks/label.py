"""The word that is seen: "AI generated" in a corner."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import cv2
import numpy as np

from gtalk.shapes import UInt8

Label = Literal["on", "off"]
WORDS = "AI generated"


def labelled(rgb: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
    """A copy with small white-on-dark words in the lower left corner."""
    rgb = rgb.copy()
    first_row, ink, shade = _words(*rgb.shape[:2])
    part = rgb[first_row:, : ink.shape[1]]
    part[:] = cv2.add(cv2.multiply(part, 255 - shade, scale=1 / 255), ink)
    return rgb


@lru_cache(maxsize=8)
def _words(height: int, width: int) -> tuple[int, np.ndarray, np.ndarray]:
    """(row where they begin, what is added, how much of the picture goes), both uint8 [h,w,3]."""
    scale = height / 700
    ink, shade = (np.zeros((height, width), np.uint8) for _ in range(2))
    where = (round(14 * scale), height - round(16 * scale))
    for layer, weight in ((shade, 3.0), (ink, 1.0)):
        thickness = max(1, round(weight * 1.4 * scale))
        cv2.putText(layer, WORDS, where, cv2.FONT_HERSHEY_SIMPLEX, scale, (255,), thickness, cv2.LINE_AA)
    shade = np.maximum(shade, ink)
    rows, columns = np.flatnonzero(shade.any(1)), np.flatnonzero(shade.any(0))
    if not len(rows):  # too small for words
        return height, np.zeros((0, width, 3), np.uint8), np.zeros((0, width, 3), np.uint8)
    first, last = int(rows[0]), int(columns[-1]) + 1
    ink, shade = (cv2.merge([layer[first:, :last]] * 3) for layer in (ink, shade))
    return first, ink, shade
