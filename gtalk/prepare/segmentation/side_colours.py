"""What colours the person and the room have beside each pixel of the edge between them.

Both are means over windows, and vary slowly: so they are summed at half the size, from the pixels that are the person
(or the room) beyond doubt, and weighed at the pixels that ask.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from gtalk.shapes import Float, Int, UInt8

REACH = 0.05  # of the height: half width of the window from which colours are taken
FAR_WORTH = 0.005  # of what lies in a window five times as wide
TONES = 4  # steps of brightness in which colours are looked for
ALIKE = 22.0  # of 255: tones that differ from a pixel by so much are likely something else
LEAST_OF_PLATE = 0.002  # share of the window in which the plate must have been compared
PLATE_TRUST = 12.0  # of 255: a plate that differs from the background by so much nearby counts little
_GREY = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Plate:
    """The background of one frame, at any size."""

    rgb: UInt8[np.ndarray, "h w 3"]
    known: Float[np.ndarray, "h w"]
    """1 where it was really seen."""


def side_colours(
    image: UInt8[np.ndarray, "H W 3"],
    inside: UInt8[np.ndarray, "H W"],
    outside: UInt8[np.ndarray, "H W"],
    at: Int[np.ndarray, " N"],
    plate: Plate | None = None,
) -> tuple[Float[np.ndarray, "3 N"], Float[np.ndarray, "3 N"], Float[np.ndarray, " N"]]:
    """(colour of the person, colour of the background, sum of their variances) beside the pixels `at` (flat indices).

    `inside`, `outside`: 1 where the person is beyond doubt, and where nobody is.
    """
    values = image.reshape(-1, 3).take(at, axis=0).T.astype(np.float32)
    person, spread_person = _likest_nearby(image, inside, values, at)
    background, spread = _likest_nearby(image, outside, values, at)
    if plate is not None:
        behind, trust, error = _of_plate(image, outside, at, plate)
        background += trust * (behind - background)
        spread += trust * (error - spread)
    return person, background, spread_person + spread


def _of_plate(
    image: np.ndarray, outside: np.ndarray, at: np.ndarray, plate: Plate
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(colours of the plate [3,N], how far to believe them, their mean squared error nearby)."""
    size = (image.shape[1], image.shape[0])
    behind = cv2.resize(plate.rgb, size, interpolation=cv2.INTER_AREA)
    known = cv2.resize(plate.known, size, interpolation=cv2.INTER_AREA)
    off = cv2.absdiff(behind, image).astype(np.float32)
    wrong = cv2.transform(off * off, np.ones((1, 3), np.float32))
    compared = np.asarray(known * outside, np.float32)
    reach = (2 * reach_px(size[1]) + 1,) * 2
    seen = cv2.boxFilter(compared, -1, reach, borderType=cv2.BORDER_CONSTANT).ravel()[at]
    error = cv2.boxFilter(np.asarray(wrong * compared, np.float32), -1, reach, borderType=cv2.BORDER_CONSTANT).ravel()[
        at
    ]
    error /= np.maximum(seen, 1e-6)
    trust = known.ravel()[at] * np.exp(error * np.float32(-1 / (3 * PLATE_TRUST**2))) * (seen > LEAST_OF_PLATE)
    return behind.reshape(-1, 3).take(at, axis=0).T.astype(np.float32), trust, error


def _likest_nearby(
    image: np.ndarray, where: np.ndarray, values: np.ndarray, at: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(colour [3,N], its variance [N]) that `where` has near pixels of `values` [3,N], of its tones the likest ones.

    Beside a temple there is skin and hair: their mean is neither. So colours are averaged by tone (brightness
    in TONES steps) in a window around the pixel, in a wider one where that holds none of `where`.
    """
    height, width = where.shape
    half = ((width + 1) // 2, (height + 1) // 2)
    masked = cv2.resize(cv2.bitwise_and(image, image, mask=where), half, interpolation=cv2.INTER_AREA)
    share = cv2.resize(where.astype(np.float32), half, interpolation=cv2.INTER_AREA)
    colour = np.stack(cv2.split(masked.astype(np.float32))) / np.maximum(share, 1e-6)
    tone = np.tensordot(_GREY * np.float32((TONES - 1) / 255), colour, 1)
    planes = np.stack([*colour, np.einsum("chw,chw->hw", colour, colour), np.ones_like(share)]) * share
    ramps = [np.maximum(1 - np.abs(tone - step), 0) for step in range(TONES)]
    present = [planes * ramp for ramp in ramps if (ramp * share).any()]
    total = np.zeros((5, len(at)), np.float32)
    for sums in _nearby(np.stack(present), reach_px(height), (width, height), at) if present else ():
        difference = sums[:3] / np.maximum(sums[4], 1e-9) - values
        likeness = np.exp(np.einsum("cn,cn->n", difference, difference) * np.float32(-0.5 / ALIKE**2))
        total += sums * (likeness + np.float32(1e-6))
    mean = total[:4] / np.maximum(total[4], 1e-12)
    return mean[:3], np.maximum(mean[3] - np.einsum("cn,cn->n", mean[:3], mean[:3]), 0.0)


def _nearby(halved: np.ndarray, reach: int, full: tuple[int, int], at: np.ndarray) -> np.ndarray:
    """[K,P,N] means at pixels `at` of `full` size over a window, and a little of those over one five times as wide.

    `halved` [K,P,h,w] is of half that size. All planes are one tall image: between them lies room for a window.
    """
    count, planes, height, width = halved.shape
    narrow, wide = 2 * max(1, round((reach - 0.5) / 2)) + 1, 2 * max(1, round(2.5 * reach)) + 1
    room = wide // 2 + 1
    tall = np.zeros((count * planes, height + room, width), np.float32)
    tall[:, :height] = halved.reshape(-1, height, width)
    flat = tall.reshape(-1, width)
    close = cv2.boxFilter(flat, -1, (narrow, narrow), borderType=cv2.BORDER_CONSTANT)
    far = cv2.boxFilter(flat, -1, (wide, wide), borderType=cv2.BORDER_CONSTANT)
    both = cv2.addWeighted(close, 1.0, far, FAR_WORTH, 0.0).reshape(count * planes, height + room, width)
    found = np.empty((count * planes, len(at)), np.float32)
    for row, plane in zip(found, both, strict=True):
        np.take(cv2.resize(plane[:height], full, interpolation=cv2.INTER_LINEAR), at, out=row, mode="clip")
    return found.reshape(count, planes, -1)


def reach_px(height: int) -> int:
    """Half width of the window in an image so high."""
    return max(2, round(REACH * height))
