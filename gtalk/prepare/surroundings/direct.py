"""How a blurred room moved between two images: by its shades themselves, where there are too few corners to follow.

The similarity that takes one image to the other with the least squared difference where both show the room, found by
Gauss and Newton from coarse to fine (Lucas and Kanade 1981; Baker and Matthews 2004), robustly.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from gtalk.shapes import Bool, Float, UInt8

HALVINGS = (3, 2, 1)
FEWEST = 40  # pixels
STEPS = 12  # at each size
SHADE_SHARE = 0.12  # image heights: broader shades are light, and are taken off
LEAST_SIDE = 0.015  # of the image must be room on a side that counts
TEXTURE = 1.0  # levels a pixel, below which a side is plain
BROAD = 3  # errors beyond so many usual ones hardly count
LEAST_SHADE = 1e-6  # squared slope a pixel, below which there is no picture

Frame = tuple[UInt8[np.ndarray, "h w"], UInt8[np.ndarray, "h w"]]


class Aligned(NamedTuple):
    """What aligned two images."""

    H: Float[np.ndarray, "3 3"]
    """From pixels of the first to those of the second."""
    left: tuple[float, float]
    """Squared difference left of the person before and after, levels; infinite where it tells nothing."""
    right: tuple[float, float]


def align(a: Frame, b: Frame, guess: Float[np.ndarray, "3 3"]) -> Aligned | None:
    """Align the rooms of two images; None where they do not tell.

    Args:
        a: (grey image, 255 where the room is).
        b: the same size.
        guess: about what takes a to b.
    """
    found = guess
    for halvings in HALVINGS:
        scale = 0.5**halvings
        small = _Level.of(a, scale), _Level.of(b, scale)
        to_small = np.diag([scale, scale, 1.0])
        refined = _refine(*small, to_small @ found @ np.linalg.inv(to_small))
        if refined is None:
            if halvings == HALVINGS[-1]:
                return None
            continue
        found = np.linalg.inv(to_small) @ refined @ to_small
    scale = 0.5 ** HALVINGS[-1]
    to_small = np.diag([scale, scale, 1.0])
    first, second = _Level.of(a, scale), _Level.of(b, scale)
    before, shown_before = second.seen(np.eye(3))
    after, shown_after = second.seen(to_small @ found @ np.linalg.inv(to_small))
    both = first.room & shown_before & shown_after
    person = np.flatnonzero((~first.room).any(0))
    middle = person.mean() if len(person) else first.room.shape[1] / 2
    column = np.arange(first.room.shape[1])[None]
    sides = [
        (float(np.square(before - first.shade)[where].mean()), float(np.square(after - first.shade)[where].mean()))
        if where.mean() > LEAST_SIDE and first.slope[where].mean() > TEXTURE
        else (0.0, np.inf)
        for where in (both & (column < middle), both & (column >= middle))
    ]
    return Aligned(found, *sides)


class _Level(NamedTuple):
    shade: np.ndarray
    room: Bool[np.ndarray, "h w"]
    slope: np.ndarray
    """Levels a pixel."""
    parts: np.ndarray
    """[h,w,4]: shade, its slopes across and down, room; for one look-up."""

    @staticmethod
    def of(frame: Frame, scale: float) -> _Level:
        """At another size, without broad shades."""
        size = (round(frame[0].shape[1] * scale), round(frame[0].shape[0] * scale))
        grey = np.asarray(cv2.resize(frame[0].astype(np.float32), size, interpolation=cv2.INTER_AREA))
        room = np.asarray(cv2.resize(frame[1].astype(np.float32), size, interpolation=cv2.INTER_AREA) > 250, np.float32)
        sigma = SHADE_SHARE * size[1]
        weight = cv2.GaussianBlur(room, (0, 0), sigma)
        shade = grey - cv2.GaussianBlur(np.asarray(grey * room, np.float32), (0, 0), sigma) / np.maximum(weight, 1e-3)
        across, down = cv2.Sobel(shade, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(shade, cv2.CV_32F, 0, 1, scale=0.125)
        safe = cv2.erode(room.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=(0, 0, 0, 0)) > 0
        parts = np.stack([shade, across, down, safe.astype(np.float32)], -1)
        return _Level(shade, safe, np.hypot(across, down), parts)

    def look(self, H: np.ndarray) -> np.ndarray:
        """Parts as they stand where the first image has them, nothing beyond the border."""
        height, width = self.room.shape
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        shift = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
        return cv2.warpPerspective(self.parts, np.linalg.inv(shift) @ H @ shift, (width, height), flags=flags)

    def seen(self, H: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(shade, where it is room) as the first image would have it."""
        parts = self.look(H)
        return parts[..., 0], parts[..., 3] > 0.99


def _refine(first: _Level, second: _Level, H: np.ndarray) -> np.ndarray | None:
    """A similarity that fits better."""
    height, width = first.room.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    y, x, unit = (y + 0.5 - height / 2) / height, (x + 0.5 - width / 2) / height, float(height)
    for _ in range(STEPS):
        parts = second.look(H)
        where = first.room & (parts[..., 3] > 0.99)
        if where.sum() < FEWEST:
            return None
        error = (parts[..., 0] - first.shade)[where]
        across, down, u, v = parts[..., 1][where], parts[..., 2][where], x[where], y[where]
        slopes = np.stack([across, down, across * u + down * v, down * u - across * v], 1) * unit
        usual = 1.4826 * float(np.median(np.abs(error))) + 0.3
        weight = 1.0 / (1.0 + np.square(error / (BROAD * usual)))
        normal = (slopes * weight[:, None]).T @ slopes
        if np.trace(normal) < LEAST_SHADE * len(slopes):  # a black picture
            return None
        normal += 1e-3 * np.trace(normal) * np.eye(4) / 4
        dx, dy, grow, turn = -np.linalg.solve(normal, slopes.T @ (weight * error))
        step = np.array([[1 + grow, -turn, dx * unit], [turn, 1 + grow, dy * unit], [0, 0, 1.0]])
        middle = np.array([[1, 0, width / 2], [0, 1, height / 2], [0, 0, 1.0]])
        H = H @ middle @ step @ np.linalg.inv(middle)
        if max(abs(dx), abs(dy), abs(grow), abs(turn)) * unit < 0.01:
            break
    return H if np.isfinite(H).all() else None
