"""Exposure and white balance that a camera changed by itself, found from what is still, to be taken off again.

Both act on light before it is stored: light times a gain per channel. Stored values are about a power of light, so
they are times a gain as well, one per frame and channel. It is what the room's small cells say together, where they
agree, and where the face, which turns and shades itself, does not contradict. A lamp that is switched, or light of a
screen, reaches room and face differently: that is part of the picture, and stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from gtalk.shapes import Bool, Float, UInt8
from gtalk.topology import FACE_OVAL, RIGID
from gtalk.types import VIDEO_FPS

THUMBNAIL = 64
"""Pixels along an image in which light is looked for."""
DARK, BRIGHT = 12.0, 246.0  # of 255: what may be clipped says nothing
FEWEST_CELLS = 24
HAIR, ABOVE = 0.55, 0.75  # how far hair reaches beside and above a face, in its widths and heights
LEAST = 0.012  # gains that range over less are none: nothing is touched
STILL, MOST_SPREAD = 0.35, 0.06  # of the range, and at all: how much the room's cells may differ among themselves
LEAST_ALIKE = 0.5  # how alike room and face must change
FACE_LEAST = 0.12  # a face alone is believed from here on: it shades itself when it turns
SLOW_S = 2.0  # and no faster than this
TOLD = 0.03


@dataclass(frozen=True)
class Light:
    """What makes every frame as if its exposure had been locked."""

    gain: Float[np.ndarray, "T 3"]
    """What a frame's stored red, green and blue are multiplied by; exactly 1 where nothing drifts."""
    exposure_range: float
    """How far the exposure ranges, 5th to 95th percentile, as a share."""
    tint_range: float
    """How far red over blue does."""
    seen_on: str
    """room, face, or nothing."""
    not_everywhere: bool = False
    """Whether the room's light changes and the face's does not follow."""

    @property
    def note(self) -> str:
        """What there is to tell."""
        exposure, tint = self.exposure_range > TOLD, self.tint_range > TOLD
        if self.not_everywhere:
            return f"the light of the room changes by {self.exposure_range:.0%}, that of the face does not follow"
        if self.seen_on == "nothing" or not (exposure or tint):
            return ""
        parts = [f"the exposure drifts by {self.exposure_range:.0%}"] * exposure
        parts += [f"the white balance by {self.tint_range:.0%}"] * tint
        return " and ".join(parts) + f" (seen on the {self.seen_on}): evened out before training"


def thumbnail(rgb: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """The image at THUMBNAIL pixels along its longer side."""
    scale = THUMBNAIL / max(rgb.shape[:2])
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)


def find_light(
    thumbnails: Iterable[UInt8[np.ndarray, "h w 3"]],
    points_px: Float[np.ndarray, "T 478 2"],
    valid: Bool[np.ndarray, " T"],
    size: tuple[int, int],
) -> Light:
    """The gain of every frame.

    Args:
        thumbnails: of every frame, all of one size.
        points_px: landmarks, pixels of images of `size` = (width, height).
        valid: where a face was seen.
    """
    images = np.stack(list(thumbnails))
    points = points_px * (np.array(images.shape[2:0:-1]) / size)
    room, spread = _of_room(images, _room_cells(points[valid], (images.shape[1], images.shape[2])))
    face = _of_face(images, points, valid)
    if room is not None and spread < max(min(STILL * _range(room), MOST_SPREAD), LEAST):
        if max(_range(room), _tint(room)) < LEAST:
            return _none(len(images))
        if _follows(face[valid], room[valid]):
            return _light(room, "room")
        return Light(np.ones((len(images), 3)), _exposure(room), _tint(room), "nothing", _exposure(room) > TOLD)
    slow = _slow(face)
    return _light(slow, "face") if max(_range(slow), _tint(slow)) > FACE_LEAST else _none(len(images))


def _light(log_gain: np.ndarray, seen_on: str) -> Light:
    return Light(np.exp(-log_gain), _exposure(log_gain), _tint(log_gain), seen_on)


def _none(count: int) -> Light:
    return Light(np.ones((count, 3)), 0.0, 0.0, "nothing")


def _room_cells(points: np.ndarray, shape: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """Where no frame shows the person, as far as a face tells."""
    cells = np.zeros(shape, bool)
    if not len(points):
        return ~cells
    face = points[:, FACE_OVAL]
    low, high = np.percentile(face.min(1), 2, axis=0), np.percentile(face.max(1), 98, axis=0)
    width, height = high - low
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]] + 0.5
    beside = np.maximum(low[0] - x, x - high[0]) / max(width, 1e-6)
    above = (low[1] - y) / max(height, 1e-6)
    # Shoulders begin at the chin, hair may hang beside it.
    return ((beside > HAIR) & (y < high[1])) | (above > ABOVE)


def _of_room(images: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray | None, float]:
    """([T,3] logarithm of how much lighter the room is than usual, how much its cells differ in that)."""
    values = images[:, cells].astype(np.float32)
    usable = ((values > DARK) & (values < BRIGHT)).all(2)
    kept = usable.mean(0) > 0.9
    if kept.sum() < FEWEST_CELLS:
        return None, np.inf
    logs = np.where(usable[:, kept, None], np.log(np.maximum(values[:, kept], 1.0)), np.nan)
    change = logs - np.nanmedian(logs, axis=0)
    usual = np.nan_to_num(np.nanmedian(change, axis=1))
    spread = np.nanmedian(np.abs(change - usual[:, None]), axis=1)
    return usual, float(np.nanpercentile(spread, 75))


def _of_face(images: np.ndarray, points: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """[T,3] the same of the skin at the face's rigid points; interpolated where no face is seen."""
    rows = np.full((len(images), 3), np.nan)
    seen = np.flatnonzero(valid)
    if not len(seen):
        return np.zeros_like(rows)
    at = points[seen][:, RIGID].astype(np.float32) - 0.5
    skin = [
        cv2.remap(images[i], at[k, :, 0], at[k, :, 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[:, 0]
        for k, i in enumerate(seen)
    ]
    logs = np.log(np.maximum(np.stack(skin).astype(np.float32), 1.0))
    rows[seen] = np.median(logs - np.median(logs, axis=0), axis=1)
    return np.stack([np.interp(np.arange(len(rows)), seen, column[seen]) for column in rows.T], axis=1)


def _follows(face: np.ndarray, room: np.ndarray) -> bool:
    """Whether the face gets lighter and darker with the room, by about as much."""
    a, b = (_slow(values) for values in (face, room))
    a, b = (values - np.median(values, axis=0) for values in (a, b))
    if not len(a) or (b**2).sum() < 1e-12:
        return True
    slope = float((a * b).sum() / (b**2).sum())
    alike = float((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum() + 1e-12))
    if np.sqrt((b**2).mean()) < LEAST:  # a small drift drowns in what the face does by itself: no contradiction
        return slope > -0.5
    return 0.4 < slope < 1.8 and alike > LEAST_ALIKE


def _slow(values: np.ndarray) -> np.ndarray:
    """Without what changes within SLOW_S."""
    sigma = SLOW_S / 2 * VIDEO_FPS / 2
    return cv2.GaussianBlur(
        values.astype(np.float64),
        (1, 2 * round(2 * sigma) + 1),
        sigmaX=0.1,
        sigmaY=sigma,
        borderType=cv2.BORDER_REPLICATE,
    )


def _exposure(log_gain: np.ndarray) -> float:
    return _span(log_gain.mean(1))


def _tint(log_gain: np.ndarray) -> float:
    return _span(log_gain[:, 0] - log_gain[:, 2])


def _range(log_gain: np.ndarray) -> float:
    return max(_span(column) for column in log_gain.T)


def _span(values: np.ndarray) -> float:
    low, high = np.percentile(values, [5, 95])
    return float(np.expm1(high - low))
