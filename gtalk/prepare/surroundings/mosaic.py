"""The room behind a camera that moves, put together from all that it saw, without the person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from gtalk.prepare.frame_io import in_order
from gtalk.prepare.segmentation.clean_plate import (
    MOVING_DIFFERENCE,
    Background,
    masked_median,
    paint_in,
    room_seen,
)
from gtalk.prepare.surroundings.camera_path import CameraPath, for_opencv, moved
from gtalk.progress import OnProgress, Progress, silent
from gtalk.shapes import Bool, Float, Int, UInt8

ALIVE = 0.08
"""Share of a background that differs from its plate, above which only the person is worth learning from."""
MEMORY_BYTES = 200_000_000  # of images held for the median
PICTURES, FEWEST_SEEN = 72, 3
MOST_SIDE = 3.0  # of the image: a canvas is never larger

Read = Callable[[int], tuple[np.ndarray, np.ndarray]]
"""Frame index -> (RGB image, matte 0 to 255)."""


@dataclass(frozen=True)
class Mosaic:
    """A plate larger than the image."""

    path: CameraPath
    image: UInt8[np.ndarray, "h w 3"]
    """What was never seen is painted in."""
    known: Bool[np.ndarray, "h w"]
    corner_px: Int[np.ndarray, "2"]
    """Where its top left corner lies, pixels of the plate (the reference frame)."""
    moving: Float[np.ndarray, "h w"]
    """Share of the looks at a pixel that showed something else."""
    moving_share: float
    """Of all background pixels of all looks."""

    def behind(self, index: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """(RGB, where it is known 0 to 1) of the room as frame `index` sees it; nothing is known of lost frames."""
        if not self.path.known[index]:
            return np.zeros((size[1], size[0], 3), np.uint8), np.zeros(size[::-1], np.float32)
        to_frame = for_opencv(self.path.H_frame_plate[index] @ _shift(self.corner_px))
        known = cv2.warpPerspective(self.known.astype(np.float32), to_frame, size)
        return cv2.warpPerspective(self.image, to_frame, size, borderMode=cv2.BORDER_REPLICATE), known

    def plate(self, size: tuple[int, int]) -> tuple[UInt8[np.ndarray, "H W 3"], Bool[np.ndarray, "H W"]]:
        """(what the reference frame shows of it, where it was seen)."""
        x, y = -self.corner_px
        part = (slice(y, y + size[1]), slice(x, x + size[0]))
        return self.image[part], self.known[part]

    def at_rest(self, size: tuple[int, int]) -> Background:
        """The plate as the reference frame shows it, the same for all frames."""
        plate, known = self.plate(size)
        return Background(plate, known, np.zeros((len(self.path.known), 3)), 0.0, self.moving_share)


def frames_of_mosaic(path: CameraPath) -> Int[np.ndarray, " N"]:
    """Indices of the frames that `make_mosaic` looks at, ascending."""
    usable = np.flatnonzero(path.known)
    return usable[np.unique(np.linspace(0, len(usable) - 1, min(PICTURES, len(usable))).astype(int))]


def make_mosaic(read: Read, size: tuple[int, int], path: CameraPath, on_progress: OnProgress = silent) -> Mosaic:
    """The median of what frames spread over the clip show of the room, where the path puts it."""
    chosen = frames_of_mosaic(path)
    corner, canvas = _canvas(path, size)
    rows = max(16, MEMORY_BYTES // (5 * canvas[0] * len(chosen)))
    image = np.zeros((canvas[1], canvas[0], 3), np.uint8)
    known, moving = np.zeros(canvas[::-1], bool), np.zeros(canvas[::-1], np.float32)
    looks, others = 0, 0
    for top in range(0, canvas[1], rows):
        strip = (canvas[0], min(rows, canvas[1] - top))
        stack, seen = _stack(read, chosen, path, corner + np.array([0, top]), strip, size)
        part = slice(top, top + strip[1])
        image[part], often = masked_median(stack, seen)
        known[part] = often & (seen.sum(0) >= min(FEWEST_SEEN, len(chosen)))
        other = np.stack([_differs(one, where, image[part]) for one, where in zip(stack, seen, strict=True)])
        moving[part] = other.sum(0) / np.maximum(seen.sum(0), 1)
        looks, others = looks + int(seen.sum()), others + int(other.sum())
        on_progress(Progress("background", part.stop, canvas[1]))
    return Mosaic(path, paint_in(image, known), known, corner, moving, others / max(looks, 1))


def _stack(
    read: Read,
    chosen: np.ndarray,
    path: CameraPath,
    corner: np.ndarray,
    strip: tuple[int, int],
    size: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Part of the canvas as each frame shows it, and where it does."""

    def load(index: int) -> tuple[np.ndarray, np.ndarray]:
        frame, matte = read(index)
        to_canvas = np.linalg.inv(for_opencv(path.H_frame_plate[index] @ _shift(corner)))
        seen = cv2.warpPerspective(room_seen(matte, size[1]), to_canvas, strip)
        return cv2.warpPerspective(frame, to_canvas, strip), seen > 250

    loaded = list(in_order(load, [int(i) for i in chosen]))
    return np.stack([frame for frame, _ in loaded]), np.stack([seen for _, seen in loaded])


def _differs(image: np.ndarray, seen: np.ndarray, room: np.ndarray) -> np.ndarray:
    """Where an image shows background other than the room's, but for edges that lie half a pixel off."""
    low, high = cv2.erode(room, np.ones((3, 3), np.uint8)), cv2.dilate(room, np.ones((3, 3), np.uint8))
    beyond = np.maximum(cv2.subtract(low, image), cv2.subtract(image, high)).max(-1)
    return (beyond > MOVING_DIFFERENCE) & seen


def _canvas(path: CameraPath, size: tuple[int, int]) -> tuple[np.ndarray, tuple[int, int]]:
    """(corner in pixels of the plate, size) that hold all that was seen, and the reference frame, within bounds."""
    corners = np.array([[0, 0], [size[0], 0], [0, size[1]], list(size)], float)
    places = np.concatenate([moved(np.linalg.inv(H), corners) for H in path.H_frame_plate[path.known]])
    room = (MOST_SIDE - 1) / 2 * np.array(size)
    low = np.floor(np.clip(np.minimum(places.min(0), 0), -room, 0)).astype(int)
    high = np.ceil(np.clip(np.maximum(places.max(0), size), size, size + room)).astype(int)
    return low, (int(high[0] - low[0]), int(high[1] - low[1]))


def _shift(corner: np.ndarray) -> np.ndarray:
    """From pixels of a canvas to those of the plate."""
    return np.array([[1.0, 0.0, corner[0]], [0.0, 1.0, corner[1]], [0.0, 0.0, 1.0]])
