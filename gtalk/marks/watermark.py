"""Puts the mark into pictures: two saturating additions of a pattern that is made once for a size."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from gtalk.marks.code import encode
from gtalk.marks.pattern import SHORT_SIDE, TILE, tile_of
from gtalk.shapes import Float, UInt8

LEAST_SIDE = 96
"""Pixels; smaller pictures hold no mark."""
LUMA, BLUE = -0.45, 1.4
"""Root mean square of the pattern in luminance and in the blue-yellow difference (Cb), in levels of 255. Of opposite
sign: what both do to blue, which weighs little in luminance, cancels in part."""
_MOST = np.clip(np.arange(256) // 14, 1, 255).astype(np.uint8)
"""How far a value may be changed: in the dark a few levels are seen."""
RGB_LEVELS = LUMA * np.ones(3) + BLUE * np.array([0.0, -0.344136, 1.772])  # ITU-R BT.601, full swing


class Watermark:
    """The mark of one avatar.

    Args:
        avatar_id: 16 hexadecimal digits.
    """

    def __init__(self, avatar_id: str) -> None:
        self._payload = bytes.fromhex(avatar_id)

    def apply(
        self, rgb: UInt8[np.ndarray, "H W 3"], alpha: UInt8[np.ndarray, "H W"] | None = None
    ) -> UInt8[np.ndarray, "H W 3"]:
        """The picture with the mark; itself where it is too small for one.

        Args:
            alpha: coverage of a premultiplied picture: where nothing is, nothing is put.
        """
        height, width = rgb.shape[:2]
        if min(height, width) < LEAST_SIDE:
            return rgb
        plus, minus = _patterns(self._payload, height, width)
        if alpha is not None:
            share = cv2.merge([alpha] * 3)
            plus, minus = (cv2.multiply(part, share, scale=1 / 255) for part in (plus, minus))
        most = cv2.LUT(rgb, _MOST)
        return cv2.subtract(cv2.add(rgb, cv2.min(plus, most)), cv2.min(minus, most))


@lru_cache(maxsize=4)
def _patterns(payload: bytes, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [H,W,3] each: what is added, what is taken away."""
    levels = np.rint(RGB_LEVELS * pattern(payload, height, width)[..., None]).astype(np.int16)
    return np.maximum(levels, 0).astype(np.uint8), np.maximum(-levels, 0).astype(np.uint8)


def pattern(payload: bytes, height: int, width: int) -> Float[np.ndarray, "H W"]:
    """The carrier over a whole picture, root mean square 1."""
    scale = min(height, width) / SHORT_SIDE
    rows, columns = (int(np.ceil(side / scale)) + 2 for side in (height, width))
    tile = tile_of(encode(payload)).astype(np.float32)
    canvas = np.tile(tile, (-(-rows // TILE), -(-columns // TILE)))
    # Pixel x of the picture looks at unit (x + 0.5) / scale - 0.5, as resizing pictures does.
    shift = 0.5 / scale - 0.5
    matrix = np.array([[1 / scale, 0, shift], [0, 1 / scale, shift]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(canvas, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_WRAP)
