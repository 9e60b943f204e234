"""Grain: the noise of a shot's camera, which a rendered face does not have.

Grain is what is new in every image; the texture of skin is not, it stays where it is. So grain is measured as the
finest detail of the difference of two images in a row, where they are smooth, since there little else differs
when the head moves. Its size in pixels comes from how alike neighbours are: cameras and encoders blur it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from gtalk.shapes import Bool, Float, UInt8

_FINE_SIGMA_PX = 1.5  # detail is what this blur takes away
_LEAST_PIXELS = 400
_LEAST_LEVEL = 0.25  # grey levels: less is rounding
_SIZES_PX = (0.0, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4)
_TILE_PX = 256
_SIGMA_OF_MEDIAN = 1.4826  # of a normal distribution, by its median absolute value

Pair = tuple[UInt8[np.ndarray, "... 3"], UInt8[np.ndarray, "... 3"], Bool[np.ndarray, "..."]]
"""Two images in a row, [H,W,3], and where to look in both, [H,W]. Pairs differ in size."""


@dataclass(frozen=True)
class Grain:
    """How much the images of a shot are grained."""

    level: float
    """Standard deviation in grey levels of its finest detail; 0 where there is none to speak of."""
    size_px: float
    """Sigma of the blur that makes white noise as coarse."""

    @staticmethod
    def learn(pairs: Sequence[Pair]) -> Grain:
        """The usual grain of a shot, from images all over it."""
        found = [seen for pair in pairs if (seen := _seen(*pair)) is not None]
        if not found:
            return Grain(0.0, 0.0)
        level, alike = np.median(np.array(found), axis=0)
        if level < _LEAST_LEVEL:
            return Grain(0.0, 0.0)
        return Grain(float(level), min(_SIZES_PX, key=lambda size: abs(_traits(size)[1] - alike)))

    def field(self, size: tuple[int, int], rng: np.random.Generator) -> Float[np.ndarray, "H W"] | None:
        """Fresh grain for an image of `size`, grey levels (float32); None where the shot has none."""
        if not self.level:
            return None
        return _noise(size, self.size_px, rng) * np.float32(self.level / _traits(self.size_px)[0])


def fine_level(values: Float[np.ndarray, "H W"], where: Bool[np.ndarray, "H W"]) -> float:
    """Standard deviation of the finest detail, whatever a few pixels do."""
    return _SIGMA_OF_MEDIAN * float(np.median(np.abs(_fine(values)[where])))


def _seen(first: np.ndarray, second: np.ndarray, where: np.ndarray) -> tuple[float, float] | None:
    """(level, correlation of neighbours) of what is new in the second image."""
    grey = first.astype(np.float32).mean(axis=2)
    smooth = cv2.GaussianBlur(grey, (0, 0), _FINE_SIGMA_PX)
    slope = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    if np.count_nonzero(where) < _LEAST_PIXELS:
        return None
    flat = where & (slope <= np.median(slope[where]))
    new = (second.astype(np.float32).mean(axis=2) - grey) / np.float32(np.sqrt(2.0))
    level = fine_level(new, flat)
    return level, _alike(_fine(new), flat, 4.0 * level)


def _alike(fine: np.ndarray, where: np.ndarray, most: float) -> float:
    """Correlation of neighbours in a row, without what sticks out."""
    both = where[:, 1:] & where[:, :-1] & (np.abs(fine[:, 1:]) < most) & (np.abs(fine[:, :-1]) < most)
    a, b = fine[:, 1:][both].astype(np.float64), fine[:, :-1][both].astype(np.float64)
    power = float((a * a).sum() + (b * b).sum())
    return 2.0 * float((a * b).sum()) / power if power else 0.0


def _fine(values: np.ndarray) -> np.ndarray:
    return values - cv2.GaussianBlur(values, (0, 0), _FINE_SIGMA_PX)


def _noise(size: tuple[int, int], blur_px: float, rng: np.random.Generator) -> np.ndarray:
    white = rng.standard_normal(size[::-1], np.float32)
    return cv2.GaussianBlur(white, (0, 0), blur_px) if blur_px else white


@cache
def _traits(size_px: float) -> tuple[float, float]:
    """(level, correlation of neighbours) that `_noise` of this size shows to the measurement above."""
    noise = _noise((_TILE_PX, _TILE_PX), size_px, np.random.default_rng(0))
    everywhere = np.ones(noise.shape, bool)
    level = fine_level(noise, everywhere)
    return level, _alike(_fine(noise), everywhere, 4.0 * level)
