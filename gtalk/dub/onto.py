"""Lip-sync of existing footage: the shot keeps its head, eyes, hands, background and grain; the mouth is new.

shot ─▶ track (camera, pose and face of every frame) ─┐
sound ─▶ Talker ─▶ mouth of every frame ──────────────┴─▶ avatar under the shot's camera ─▶ paste
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from gtalk.basis import JAW, MOUTH_GROUP, NOSE
from gtalk.dub.paste import lower_face_mask, paste
from gtalk.media.video import VideoReader, read_video
from gtalk.progress import OnProgress
from gtalk.shapes import Float, Int, UInt8
from gtalk.talk import Moment, Talker
from gtalk.types import Camera, Frame, Motion

_BACKWARD_CHUNK = 48  # pictures held while a shot runs backwards
_MARGIN = 0.25  # of the face's size around the part that is rendered
_RIGID = np.concatenate([JAW[[0, 1, 15, 16]], NOSE, np.array([36, 39, 42, 45])])  # barely moved by speech


@dataclass(frozen=True)
class Shot:
    """Tracked footage of the person."""

    pictures: VideoReader
    camera: Camera
    motion: Motion
    """One frame a picture, at the pictures' rate."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the output: even, as encoders want it, so an odd last row or column is cut off."""
        width, height = self.pictures.size
        return width - width % 2, height - height % 2


def track_shot(path: Path, fps: float | None, on_progress: OnProgress) -> Shot:
    """Track every picture of a video at `fps` (its own by default). Raises UserError without a face."""
    from gtalk.clip.shot import track_reader
    from gtalk.media.source import probe

    reader = read_video(path, fps=fps or probe(path).fps, retime=False)
    camera, motion = track_reader(reader, Path(path).name, on_progress)
    return Shot(reader, camera, motion)


def shot_order(n_shot: int, n_wanted: int, length: Literal["loop", "retime"]) -> Int[np.ndarray, " N"]:
    """Which picture of the shot each output frame shows.

    loop: forwards, then backwards, and so on, since a jump would be seen; what is too long is cut.
    retime: slower or faster so that the shot ends with the sound.
    """
    if length == "retime" and n_wanted > 1:
        return np.rint(np.linspace(0, n_shot - 1, n_wanted)).astype(np.int64)
    period = max(1, 2 * n_shot - 2)
    place = np.arange(n_wanted) % period
    return np.where(place < n_shot, place, period - place)


def pictures_in_order(reader: VideoReader, order: Sequence[int] | np.ndarray) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    """Pictures of a video in any order that runs forwards or backwards by single steps, in bounded memory."""
    start = 0
    order = np.asarray(order)
    while start < len(order):
        steps = np.diff(order[start:])
        if not len(steps) or steps[0] >= 0:
            count = int(np.argmax(steps < 0)) + 1 if (steps < 0).any() else len(order) - start
            run = order[start : start + count]
            yield from _forward(reader, run)
        else:
            count = int(np.argmax(steps >= 0)) + 1 if (steps >= 0).any() else len(order) - start
            count = min(count, _BACKWARD_CHUNK)
            run = order[start : start + count]
            held = list(reader.read(int(run[-1]), int(run[0]) + 1))
            yield from (held[i - run[-1]] for i in run)
        start += count


def _forward(reader: VideoReader, run: np.ndarray) -> Iterator[np.ndarray]:
    pictures = reader.read(int(run[0]), int(run[-1]) + 1)
    number, picture = int(run[0]), next(pictures)
    for wanted in run:
        while number < wanted:
            picture, number = next(pictures), number + 1
        yield picture


@dataclass(frozen=True)
class Alignment:
    """Where the avatar's head frame lies in that of the shot's tracking: x_shot = scale * R x_avatar + t."""

    scale: float
    rotation: Float[np.ndarray, "3 3"]
    translation: Float[np.ndarray, "3"]

    @staticmethod
    def between(avatar: Float[np.ndarray, "68 3"], shot: Float[np.ndarray, "68 3"]) -> Alignment:
        """Least squares over points that speech barely moves (Umeyama, IEEE PAMI 1991)."""
        a, b = avatar[_RIGID], shot[_RIGID]
        mean_a, mean_b = a.mean(0), b.mean(0)
        u, singular, vt = np.linalg.svd((b - mean_b).T @ (a - mean_a))
        sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
        rotation = (u * sign) @ vt
        scale = float((singular * sign).sum() / ((a - mean_a) ** 2).sum())
        return Alignment(scale, rotation, mean_b - scale * rotation @ mean_a)

    def to_avatar(self, landmarks: Float[np.ndarray, "T 68 3"]) -> Float[np.ndarray, "T 68 3"]:
        """Points of the shot's head frame in the avatar's."""
        return (landmarks - self.translation) @ self.rotation / self.scale

    def pose(self, T_world_head: Float[np.ndarray, "T 4 4"]) -> Float[np.ndarray, "T 4 4"]:
        """Rigid poses under which the avatar's head projects to where the shot's does.

        Projection from the origin does not see a common scale, so the scale moves the head in depth.
        """
        pose = T_world_head.copy()
        pose[:, :3, :3] = T_world_head[:, :3, :3] @ self.rotation
        moved = T_world_head[:, :3, :3] @ self.translation + T_world_head[:, :3, 3]
        pose[:, :3, 3] = moved / self.scale
        return pose


class Onto:
    """Turns the mouth of each spoken moment into a picture of the shot."""

    def __init__(self, talker: Talker, shot: Shot, order: np.ndarray) -> None:
        self._talker, self._shot, self._order = talker, shot, order
        seen = shot.motion.landmarks[shot.motion.valid]
        self._alignment = Alignment.between(talker.avatar.basis.mean, seen.mean(0))
        self._pictures = pictures_in_order(shot.pictures, order)
        poses = self._alignment.pose(shot.motion.head_pose)
        landmarks = self._alignment.to_avatar(shot.motion.landmarks)
        self._as_shot = shot.motion.replace(head_pose=poses, landmarks=landmarks, channels={})

    def frames(self, moments: Iterator[Moment]) -> Iterator[Frame]:
        """One finished picture for each moment, until the order ends."""
        for moment, index, picture in zip(moments, self._order, self._pictures, strict=False):
            rgb = self._picture(moment, int(index), picture) if self._shot.motion.valid[index] else picture
            rgb = np.ascontiguousarray(rgb[: self._shot.size[1], : self._shot.size[0]])
            yield Frame(moment.time_s, rgb, np.full(rgb.shape[:2], 255, np.uint8), moment.motion, moment.samples)

    def _picture(self, moment: Moment, index: int, picture: np.ndarray) -> np.ndarray:
        was = self._as_shot[index]
        landmarks = was.landmarks.copy()
        landmarks[:, MOUTH_GROUP] = moment.motion.landmarks[:, MOUTH_GROUP]
        now = was.replace(landmarks=landmarks)
        points_was, points_now = self._points_px(was), self._points_px(now)
        box = _box(points_was, points_now, (picture.shape[1], picture.shape[0]))
        if box is None:
            return picture
        left, top, right, bottom = box
        camera = dataclasses.replace(
            self._shot.camera, cx_px=self._shot.camera.cx_px - left, cy_px=self._shot.camera.cy_px - top,
            width=right - left, height=bottom - top,
        )  # fmt: skip
        self._talker.camera = camera
        as_shot, as_spoken = self._talker.draw([Moment(0.0, m, moment.samples) for m in (was, now)])
        offset = np.array([left, top])
        mask = lower_face_mask([points_was - offset, points_now - offset], (camera.width, camera.height))
        part = picture[top:bottom, left:right]
        out = picture.copy()
        out[top:bottom, left:right] = paste(
            part, as_shot.rgb, as_spoken.rgb, as_spoken.alpha, mask, points_was - offset
        )
        return out

    def _points_px(self, motion: Motion) -> np.ndarray:
        pose = motion.head_pose[0]
        return self._shot.camera.project(motion.landmarks[0] @ pose[:3, :3].T + pose[:3, 3])


def _box(first: np.ndarray, second: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Around both faces with a margin, inside the picture; None when they lie outside it."""
    points = np.concatenate([first, second])
    low, high = points.min(0), points.max(0)
    margin = _MARGIN * float((high - low).max())
    left, top = (int(v) for v in np.clip(np.floor(low - margin), 0, np.array(size)))
    right, bottom = (int(v) for v in np.clip(np.ceil(high + margin), 0, np.array(size)))
    return (left, top, right, bottom) if right - left >= 16 and bottom - top >= 16 else None
