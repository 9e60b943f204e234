"""What stands behind the person: the clip's plate, nothing, a colour, an image, a video."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from gtalk.errors import UserError
from gtalk.reading.untrusted import read_image
from gtalk.shapes import UInt8
from gtalk.talk import PLATE

TRANSPARENT = "transparent"
COLOURS = {
    "black": "#000000",
    "white": "#ffffff",
    "grey": "#808080",
    "gray": "#808080",
    "green": "#00b140",
    "blue": "#0047bb",
    "red": "#c00000",
}  # fmt: skip  (green and blue are those of chroma-key cloth)
_HEX = re.compile(r"#[0-9a-fA-F]{6}")
_PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}


class Still:
    """Anything that does not change: the avatar draws over it itself."""

    def __init__(self, rendered: UInt8[np.ndarray, "H W 3"] | str | None) -> None:
        self.rendered = rendered
        """Given to the avatar."""
        self.keeps_alpha = rendered is None
        """Whether the output carries the person's coverage."""

    def finish(self, rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        """Nothing is left to do."""
        del alpha
        return rgb


class Moving:
    """A video, one image a frame; it begins again when it ends."""

    rendered = None
    keeps_alpha = False

    def __init__(self, path: Path, size: tuple[int, int], fps: float) -> None:
        from gtalk.media.video import read_video

        self._size = size
        self._video = read_video(path, fps=fps)
        self._images = self._endless()

    def finish(self, rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        """What the premultiplied `rgb` leaves of the background is added."""
        behind = next(self._images)
        left = cv2.merge([255 - alpha] * 3)
        return cv2.add(rgb, cv2.multiply(behind, left, scale=1 / 255.0))

    def _endless(self) -> Iterator[np.ndarray]:
        while True:
            for image in self._video:
                yield cover(image, self._size)


Background = Still | Moving


def make_background(choice: str, size: tuple[int, int], fps: float) -> Background:
    """What `--background` says, for images of `size` = (width, height).

    Raises UserError when it is neither a known word, a colour, nor an image or video that can be read.
    """
    check_background(choice)
    if choice == PLATE:
        return Still(PLATE)
    if choice == TRANSPARENT:
        return Still(None)
    colour = COLOURS.get(choice.lower(), choice)
    if _HEX.fullmatch(colour):
        rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        return Still(np.full((size[1], size[0], 3), rgb, dtype=np.uint8))
    path = Path(choice)
    if path.suffix.lower() in _PICTURES:
        try:
            image = read_image(path)
        except (OSError, ValueError) as error:
            raise UserError(f"background {path}", expected="a PNG or JPEG image of a usual size", got=str(error),
                            remedy="Open it in an image viewer; convert it to PNG or JPEG.") from error  # fmt: skip
        return Still(cover(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), size))
    return Moving(path, size, fps)


def check_background(choice: str) -> None:
    """Raises UserError when `--background` is neither a known word, a colour nor a file; files are not opened yet."""
    if choice in (PLATE, TRANSPARENT) or choice.lower() in COLOURS or _HEX.fullmatch(choice):
        return
    if not Path(choice).is_file():
        raise UserError(
            f"background {choice!r}",
            expected=f"{PLATE}, {TRANSPARENT}, #rrggbb, one of {', '.join(COLOURS)}, or an image or video file",
            got="none of them, and no such file",
            remedy="Check the spelling or the path.",
        )


def moves(choice: str) -> bool:
    """Whether `--background` names a video."""
    return Path(choice).is_file() and Path(choice).suffix.lower() not in _PICTURES


def cover(image: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """Scale and crop around the centre so that the image fills `size` = (width, height)."""
    height, width = image.shape[:2]
    if (width, height) == size:
        return image
    scale = max(size[0] / width, size[1] / height)
    scaled = (max(size[0], round(width * scale)), max(size[1], round(height * scale)))
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    large = cv2.resize(image, scaled, interpolation=mode)
    left, top = (scaled[0] - size[0]) // 2, (scaled[1] - size[1]) // 2
    return np.ascontiguousarray(large[top : top + size[1], left : left + size[0]])
