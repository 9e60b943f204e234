"""A person put into a shot whose camera moves: drawn once as the avatar frames them, then moved as the room is.

shot ─▶ homography of every image ──────────────┐
sound ─▶ Talker ─▶ person over nothing, placed ─┴─▶ person as that camera sees them ─▶ over the shot
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from gtalk.dataset.format import Segment
from gtalk.dub.footage.compositor import images_in_order, shot_order
from gtalk.media.video import VideoReader, read_video
from gtalk.prepare.ingest.cuts import CutFinder
from gtalk.prepare.surroundings.camera_path import WORK_HEIGHT, CameraPath, for_opencv, path_of_frames
from gtalk.progress import OnProgress, track
from gtalk.shapes import Float, Int, UInt8
from gtalk.types import Frame


@dataclass(frozen=True)
class MovingShot:
    """Footage to stand in, and how its camera moved."""

    images: VideoReader
    path: CameraPath
    """Relative to the middle of each of its shots: there the person stands as the avatar frames them."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the output: even, as encoders want it, so an odd last row or column is cut off."""
        width, height = self.images.size
        return width - width % 2, height - height % 2

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was not found."""
        lost = int((~self.path.known).sum())
        if not lost:
            return ()
        return (f"in {lost} of {len(self.path.known)} images the shot's room was not found again: held as before",)

    def order(self, n_wanted: int) -> Int[np.ndarray, " N"]:
        """Which image each output frame shows: to and fro, since a jump would be seen."""
        return shot_order(len(self.images), n_wanted, "loop")

    def placed(self, size: tuple[int, int]) -> Float[np.ndarray, "3 3"]:
        """Where an avatar's image of `size` stands: in the middle, as high as the shot, on its lower edge."""
        scale = self.size[1] / size[1]
        return np.array([[scale, 0.0, (self.size[0] - scale * size[0]) / 2], [0.0, scale, 0.0], [0.0, 0.0, 1.0]])

    def with_person(self, drawn: Iterable[Frame], order: Int[np.ndarray, " N"], alone: bool = False) -> Iterator[Frame]:
        """The shot with the person in it, until the order ends; `alone`: the person over nothing, premultiplied."""
        images = images_in_order(self.images, order)
        for frame, index, image in zip(drawn, order, images, strict=False):
            rgb, alpha = self._moved(frame.rgb, frame.alpha, int(index))
            if not alone:
                behind = np.ascontiguousarray(image[: self.size[1], : self.size[0]])
                left = cv2.merge([255 - alpha] * 3)
                rgb = cv2.add(rgb, cv2.multiply(behind, left, scale=1 / 255.0))
                alpha = np.full_like(alpha, 255)
            yield dataclasses.replace(frame, rgb=rgb, alpha=alpha)

    def _moved(self, rgb: np.ndarray, alpha: np.ndarray, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The person as image `index` sees them."""
        matrix = for_opencv(self.path.H_frame_plate[index] @ self.placed((rgb.shape[1], rgb.shape[0])))
        both = cv2.warpPerspective(np.dstack([rgb, alpha]), matrix, self.size, flags=cv2.INTER_LINEAR)
        return np.ascontiguousarray(both[..., :3]), np.ascontiguousarray(both[..., 3])


def follow_shot(path: Path, fps: float, on_progress: OnProgress) -> MovingShot:
    """Follow the camera of a video at `fps` through all of its shots. Raises UserError when it is no video."""
    reader = read_video(path, fps=fps, retime=False)
    small = reader.scaled(min(1.0, WORK_HEIGHT / reader.size[1]))
    finder = CutFinder()
    for image in track(small, "shot", len(small), on_progress):
        finder.see(image)
    bounds = [0, *finder.cuts().tolist(), len(reader)]
    segments = [Segment(a, b, Path(path).name) for a, b in pairwise(bounds)]
    frames = ((cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), _everywhere(image)) for image in small)
    return MovingShot(reader, path_of_frames(frames, reader.size, segments, on_progress))


def _everywhere(image: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W"]:
    """Nobody is known to be in the shot: what moves by itself is outvoted."""
    return np.full(image.shape[:2], 255, np.uint8)
