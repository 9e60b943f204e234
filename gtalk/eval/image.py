"""How close two images are: PSNR, SSIM, flicker. On bytes as shown, never on what an encoder left."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from gtalk.shapes import Float, UInt8

PSNR_CEILING_DB = 100.0  # two equal images; a mean over frames needs a number
SSIM_WINDOW = 11
_SSIM_SIGMA = 1.5
_STATIC_LEVELS = 3.0  # a pixel whose truth changes by no more, after a little blur, stands still
_STATIC_BLUR_SIGMA = 1.5


def psnr(image: UInt8[np.ndarray, "H W C"], truth: UInt8[np.ndarray, "H W C"]) -> float:
    """Peak signal-to-noise ratio in dB, over all channels: 10 log10(255^2 / mean squared error)."""
    difference = image.astype(np.float32) - truth
    error = float(np.mean(np.square(difference), dtype=np.float64))
    return min(PSNR_CEILING_DB, float(10 * np.log10(255.0**2 / error))) if error > 0 else PSNR_CEILING_DB


def ssim(image: UInt8[np.ndarray, "H W C"], truth: UInt8[np.ndarray, "H W C"]) -> float | None:
    """Structural similarity (Wang et al., IEEE TIP 2004), mean over channels.

    11x11 Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03, range 255, and only windows that lie
    wholly inside, as in the authors' code. None where the image is smaller than a window.
    """
    return ssim_in(ssim_map(image, truth), (0, 0, image.shape[1], image.shape[0]))


def ssim_map(image: UInt8[np.ndarray, "H W C"], truth: UInt8[np.ndarray, "H W C"]) -> Float[np.ndarray, "h w"]:
    """`ssim` of each window, mean over channels; h, w are SSIM_WINDOW - 1 less than H, W, at least 0."""
    half, channels = SSIM_WINDOW // 2, image.shape[2]
    inner = slice(half, max(half, image.shape[0] - half)), slice(half, max(half, image.shape[1] - half))
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (SSIM_WINDOW, SSIM_WINDOW), _SSIM_SIGMA)[inner]

    total = np.zeros(image[inner].shape[:2], np.float32)
    for channel in range(channels):
        x, y = (np.ascontiguousarray(one[..., channel], dtype=np.float32) for one in (image, truth))
        mean_x, mean_y = mean(x), mean(y)
        product, squares = mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
        covariance, variances = mean(x * y) - product, mean(x * x + y * y) - squares
        total += (2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))
    return total / channels


def ssim_in(of_windows: Float[np.ndarray, "h w"], box: tuple[int, int, int, int]) -> float | None:
    """`ssim` of the part of an image inside (left, top, right, bottom), from its map; None if it holds no window."""
    left, top, right, bottom = box
    inside = of_windows[top : max(top, bottom - SSIM_WINDOW + 1), left : max(left, right - SSIM_WINDOW + 1)]
    return float(np.mean(inside, dtype=np.float64)) if inside.size else None


@dataclass
class Flicker:
    """Change between neighbouring frames where the truth stands still, in grey levels (root mean square).

    Feed frames in time order. The real video has sensor noise there, so its own value is the yardstick.
    """

    _last: tuple[np.ndarray, np.ndarray] | None = None
    _sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])

    def add(self, image: UInt8[np.ndarray, "H W 3"], truth: UInt8[np.ndarray, "H W 3"]) -> None:
        """One more frame."""
        now = image.astype(np.float32), truth.astype(np.float32)
        if self._last is not None:
            change, true_change = now[0] - self._last[0], now[1] - self._last[1]
            smooth = cv2.GaussianBlur(true_change, (0, 0), _STATIC_BLUR_SIGMA)
            static = np.abs(smooth).max(axis=2) <= _STATIC_LEVELS
            self._sums[0] += float(np.square(change[static]).sum(dtype=np.float64))
            self._sums[1] += float(np.square(true_change[static]).sum(dtype=np.float64))
            self._sums[2] += 3.0 * float(np.count_nonzero(static))
        self._last = now

    def cut(self) -> None:
        """The next frame does not follow the last one."""
        self._last = None

    def values(self) -> tuple[float, float] | tuple[None, None]:
        """(flicker of the images, of the truth); None without two frames that have a static region."""
        if not self._sums[2]:
            return None, None
        return float(np.sqrt(self._sums[0] / self._sums[2])), float(np.sqrt(self._sums[1] / self._sums[2]))


def in_box(image: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """The part inside (left, top, right, bottom), right and bottom exclusive."""
    left, top, right, bottom = box
    return image[top:bottom, left:right]


def box_around(
    points_px: Float[np.ndarray, "P 2"], margin: tuple[float, float, float, float], size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of the points' box, widened by `margin` (same order) times its larger side.

    Clipped to an image of `size` (width, height); at least one pixel.
    """
    low, high = points_px.min(0), points_px.max(0)
    side = float((high - low).max())
    left = int(np.clip(np.floor(low[0] - margin[0] * side), 0, size[0] - 1))
    top = int(np.clip(np.floor(low[1] - margin[1] * side), 0, size[1] - 1))
    right = int(np.clip(np.ceil(high[0] + margin[2] * side), left + 1, size[0]))
    bottom = int(np.clip(np.ceil(high[1] + margin[3] * side), top + 1, size[1]))
    return left, top, right, bottom
