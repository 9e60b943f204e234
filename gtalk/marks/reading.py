"""Finds and reads the mark in pictures that were compressed, scaled, cropped or mirrored.

    picture ─▶ luminance and Cb at 256 units ─▶ band-pass ─▶ weights ─▶ (sum over a video's pictures) ─▶ for every scale
    and mirror: fold onto one tile ─▶ Fourier ─▶ correlation with the finding waves at every shift ─▶ bits, checksum

**False readings.** The signs of all waves were drawn by a hash: the key. For any picture, whatever is in it, the
correlation c of the n finding waves z at one shift, scale and mirror is a sum of 2 n numbers with such signs, so by
Hoeffding's inequality P(c >= t sqrt(sum |z|^2 / 2)) <= exp(-t^2 / 2) over the choice of the key, and for the best of M
places at most M times that. The bits are then read with the signs of other waves, drawn apart from these; a maximum
likelihood decoder of a linear code whose input has random signs gives every message with the same probability, so that
the checksum of 24 bits is right once in 2^24 times. With t = sqrt(2 ln(M / (p 2^24))) an unmarked file, looked at up to
MOST_TRIES times, is taken for a marked one with probability p = 10^-6 at most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from gtalk.marks.code import CHECK_BITS, decode
from gtalk.marks.pattern import COPIES, HIGH, LOW, SHORT_SIDE, TILE, waves
from gtalk.marks.watermark import BLUE, LUMA
from gtalk.shapes import Float, UInt8

FALSE_READINGS = 1e-6
"""For a whole file, whatever number of times it is looked at."""
MOST_TRIES = 8
_SMALLEST, _LARGEST, _STEP = 0.55, 1.1, 1.008  # of the picture that was marked, against what is seen of it
_YCB_OF_RGB = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5]], np.float32)
_CLIP = 3.0  # of the local deviation


@dataclass(frozen=True)
class Reading:
    """A mark that was found."""

    payload: bytes
    strength: float
    """Of the correlation; bits are read from `threshold()` on."""
    scale: float
    mirrored: bool


class MarkReader:
    """Collects pictures of one size, of one file, and reads what they have in common."""

    def __init__(self) -> None:
        self._sum: np.ndarray | None = None
        self.n_pictures = 0

    def add(self, rgb: UInt8[np.ndarray, "H W 3"]) -> None:
        """Another picture; one of another size begins anew."""
        residue = residue_of(rgb)
        if self._sum is None or self._sum.shape != residue.shape:
            self._sum, self.n_pictures = np.zeros_like(residue), 0
        self._sum += residue
        self.n_pictures += 1

    def read(self, *, search: bool = True) -> Reading | None:
        """The mark; None where there is none, or none that can be read.

        Args:
            search: look for crops, other scales and mirrored pictures too.
        """
        if self._sum is None:
            return None
        return find(self._sum, search=search)


def residue_of(rgb: UInt8[np.ndarray, "H W 3"]) -> Float[np.ndarray, "h w"]:
    """What may be the mark: blue-yellow in the waves' band, small where the picture itself is busy."""
    height, width = rgb.shape[:2]
    scale = SHORT_SIDE / min(height, width)
    size = (max(TILE, round(width * scale)), max(TILE, round(height * scale)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    planes = cv2.transform(small.astype(np.float32), _YCB_OF_RGB)
    band = cv2.GaussianBlur(planes, (0, 0), 1.0) - cv2.GaussianBlur(planes, (0, 0), TILE / LOW / 3)
    deviation = cv2.sqrt(cv2.blur(band * band, (15, 15)) + 0.25)
    ratio = np.clip(band / deviation, -_CLIP, _CLIP) / deviation
    return LUMA * ratio[..., 0] + BLUE * ratio[..., 1]


def threshold() -> float:
    """The strength from which bits are read: with their checksum, chance stays below FALSE_READINGS."""
    n_places = TILE * TILE * (2 * len(_scales()) + 9) * MOST_TRIES
    return math.sqrt(2.0 * math.log(n_places / (FALSE_READINGS * 2.0**CHECK_BITS)))


def find(residue: Float[np.ndarray, "h w"], *, search: bool = True) -> Reading | None:
    """The mark in a residue."""
    best = _look(residue, 1.0, False)
    if search and best[0] < threshold():
        best = strongest(residue)
    if best[0] < threshold():
        return None
    finer = [best[1] * _STEP ** (i / 8) for i in (-4, -3, -2, -1, 1, 2, 3, 4)] if best[1] != 1.0 else []
    best = max([best, *(_look(residue, scale, best[2]) for scale in finer)])
    payload = decode(_bits(_folded(residue, best[1], best[2]), best[3]))
    return None if payload is None else Reading(payload, best[0], best[1], best[2])


def strongest(residue: Float[np.ndarray, "h w"]) -> tuple[float, float, bool, tuple[int, int]]:
    """(strength, scale, mirrored, shift) of the place where a mark is the likeliest, be there one or not."""
    return max(_look(residue, scale, mirrored) for mirrored in (False, True) for scale in _scales())


def _look(residue: np.ndarray, scale: float, mirrored: bool) -> tuple[float, float, bool, tuple[int, int]]:
    """(strength, scale, mirrored, shift) of the likeliest shift."""
    values = _folded(residue, scale, mirrored)
    all_waves = waves()
    n = all_waves.n_carrying
    found = values[n:]
    spectrum = np.zeros((TILE, TILE), complex)
    spectrum[all_waves.ky[n:], all_waves.kx[n:]] = found * all_waves.signs[n:].conj()
    correlation = np.fft.ifft2(spectrum).real * TILE * TILE
    shift = np.unravel_index(int(correlation.argmax()), correlation.shape)
    strength = correlation[shift] / max(math.sqrt(float((np.abs(found) ** 2).sum()) / 2), 1e-12)
    return float(strength), scale, mirrored, (int(shift[0]), int(shift[1]))


def _folded(residue: np.ndarray, scale: float, mirrored: bool) -> np.ndarray:
    """Complex [N]: the waves in a residue that shows `scale` of the marked picture, each ring of equal power."""
    image = residue[:, ::-1] if mirrored else residue
    if scale != 1.0:
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    height, width = image.shape
    padded = np.zeros((-(-height // TILE) * TILE, -(-width // TILE) * TILE), np.float32)
    padded[:height, :width] = image
    tile = padded.reshape(padded.shape[0] // TILE, TILE, -1, TILE).sum((0, 2))
    all_waves = waves()
    values = np.fft.fft2(tile)[all_waves.ky, all_waves.kx]
    power = np.bincount(all_waves.ring, np.abs(values) ** 2, int(HIGH) + 1) / np.maximum(
        np.bincount(all_waves.ring, minlength=int(HIGH) + 1), 1
    )
    return values / np.sqrt(power[all_waves.ring] + 1e-12)


def _bits(values: np.ndarray, shift: tuple[int, int]) -> np.ndarray:
    """What the carrying waves say, at a shift of the tile."""
    all_waves = waves()
    n = all_waves.n_carrying
    turned = values * np.exp(2j * np.pi * (all_waves.ky * shift[0] + all_waves.kx * shift[1]) / TILE)
    # How well each ring came through tells how far its bits may be believed.
    agreed = np.bincount(all_waves.ring[n:], (turned[n:] * all_waves.signs[n:].conj()).real, int(HIGH) + 1)
    trust = np.maximum(agreed / np.maximum(np.bincount(all_waves.ring[n:], minlength=int(HIGH) + 1), 1), 0.05)
    carried = turned[:n] * trust[all_waves.ring[:n]]
    signs = all_waves.signs[:n]
    said = np.stack([carried.real * np.sign(signs.real), carried.imag * np.sign(signs.imag)], 1).reshape(-1)
    return said.reshape(COPIES, -1).sum(0)


@cache
def _scales() -> tuple[float, ...]:
    count = math.ceil(math.log(_LARGEST / _SMALLEST) / math.log(_STEP))
    return tuple(_SMALLEST * _STEP**i for i in range(count + 1))
