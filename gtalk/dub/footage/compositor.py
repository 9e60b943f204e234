"""Lip-sync of existing footage: the shot keeps its head, eyes, hands, background and grain; the mouth is new.

shot ─▶ track (camera, pose and face of every frame) ─┬─▶ what stands before the face ─┐
sound ─▶ Talker ─▶ mouth of every frame ──────────────┴─▶ avatar under the shot's camera ─▶ paste
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from gtalk.basis import JAW, MOUTH_GROUP, NOSE
from gtalk.dub.footage.grain import Grain, Pair
from gtalk.dub.footage.occlusion import Occlusion, hides_mouth, keep_mask, to_cells
from gtalk.dub.footage.paste import lower_face_mask, paste
from gtalk.geometry.rotation import align_similarity
from gtalk.media.colour import describe as describe_colour
from gtalk.media.video import VideoReader, read_video
from gtalk.progress import OnProgress
from gtalk.shapes import Bool, Float, Int, UInt8
from gtalk.talk import MotionFrame, Talker
from gtalk.types import Camera, Frame, Motion

_BACKWARD_CHUNK = 48  # images held while a shot runs backwards
_LEARN_FROM = 40  # frames all over a shot, from which is learned what is usual in it
_FADE_S = 0.2  # how long the new mouth takes to go where the face is lost or its mouth is hidden
_MARGIN = 0.25  # of the face's size around the part that is rendered
_RIGID = np.concatenate([JAW[[0, 1, 15, 16]], NOSE, np.array([36, 39, 42, 45])])  # barely moved by speech


@dataclass(frozen=True)
class Shot:
    """Tracked footage of the person."""

    images: VideoReader
    camera: Camera
    motion: Motion
    """One frame an image, at the images' rate."""
    others: Bool[np.ndarray, " T"] | None = None
    """Images in which only other people are seen."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the output: even, as encoders want it, so an odd last row or column is cut off."""
        width, height = self.images.size
        return width - width % 2, height - height % 2


def track_shot(
    path: Path, fps: float | None, on_progress: OnProgress, like: Float[np.ndarray, "S 3"] | None = None
) -> Shot:
    """Track every image of a video at `fps` (its own by default).

    `like`: the shape of who is meant (`gtalk.dub.whose.shape_to_find`); the main person where it is not known.
    Raises UserError without a face, or without that person's.
    """
    from gtalk.media.source import probe
    from gtalk.prepare.footage import track_person

    reader = read_video(path, fps=fps or probe(path).fps, retime=False)
    return Shot(reader, *track_person(reader, Path(path).name, on_progress, like))


def shot_order(n_shot: int, n_wanted: int, length: Literal["loop", "retime"]) -> Int[np.ndarray, " N"]:
    """Which image of the shot each output frame shows.

    loop: forwards, then backwards, and so on, since a jump would be seen; what is too long is cut.
    retime: slower or faster so that the shot ends with the sound.
    """
    if length == "retime" and n_wanted > 1:
        return np.rint(np.linspace(0, n_shot - 1, n_wanted)).astype(np.int64)
    period = max(1, 2 * n_shot - 2)
    place = np.arange(n_wanted) % period
    return np.where(place < n_shot, place, period - place)


def images_in_order(reader: VideoReader, order: Sequence[int] | np.ndarray) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    """Images of a video in any order that runs forwards or backwards by single steps, in bounded memory."""
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
    images = reader.read(int(run[0]), int(run[-1]) + 1)
    number, image = int(run[0]), next(images)
    for wanted in run:
        while number < wanted:
            image, number = next(images), number + 1
        yield image


@dataclass(frozen=True)
class Alignment:
    """Where the avatar's head frame lies in that of the shot's tracking: x_shot = scale * R x_avatar + t."""

    scale: float
    rotation: Float[np.ndarray, "3 3"]
    translation: Float[np.ndarray, "3"]

    @staticmethod
    def between(avatar: Float[np.ndarray, "68 3"], shot: Float[np.ndarray, "68 3"]) -> Alignment:
        """Least squares over points that speech barely moves (Umeyama, IEEE PAMI 1991)."""
        source, target = avatar[_RIGID].astype(np.float64), shot[_RIGID].astype(np.float64)
        scale, rotation, translation = align_similarity(source[None], target, np.ones(len(source)))
        return Alignment(float(scale[0]), rotation[0], translation[0])

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


@dataclass(frozen=True)
class _View:
    """The part of an image around both mouths, and the avatar in it."""

    corner: tuple[int, int]
    """(left, top) in the image."""
    camera: Camera
    frames: list[Frame]
    points_px: list[Float[np.ndarray, "68 2"]]
    """Landmarks of each frame in the part."""

    def of(self, image: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """The part of an image, not copied."""
        left, top = self.corner
        return image[top : top + self.camera.height, left : left + self.camera.width]


@dataclass(frozen=True)
class _Seen:
    """A frame that waits for what comes after it."""

    number: int
    moment: MotionFrame
    image: UInt8[np.ndarray, "H W 3"]
    view: _View | None
    mask: Float[np.ndarray, "h w"]
    hidden: bool


class FootageCompositor:
    """Turns the mouth of each spoken moment into an image of the shot.

    What stands before the face stays in front. Where the face is lost or its mouth is hidden, the new mouth
    fades out and the shot is left as it is; `warnings` says where.
    """

    def __init__(self, talker: Talker, shot: Shot, order: np.ndarray) -> None:
        self._talker, self._shot, self._order = talker, shot, order
        seen = shot.motion.landmarks[shot.motion.valid]
        self._alignment = Alignment.between(talker.avatar.basis.mean, seen.mean(0))
        poses = self._alignment.pose(shot.motion.head_pose)
        landmarks = self._alignment.to_avatar(shot.motion.landmarks)
        self._as_shot = shot.motion.replace(head_pose=poses, landmarks=landmarks, channels={})
        self._fade = max(1, round(_FADE_S * shot.motion.fps))
        self._sure = near_share(shot.motion.valid, 1.0 / self._fade)
        self._occlusion: Occlusion | None = None
        self._grain = Grain(0.0, 0.0)
        self._n_seen = self._n_hidden = self._n_lost = self._n_partly = 0

    def frames(self, moments: Iterator[MotionFrame]) -> Iterator[Frame]:
        """One finished image for each moment, until the order ends."""
        self._occlusion, self._grain = self._learned()
        images = images_in_order(self._shot.images, self._order)
        waiting: deque[_Seen] = deque()
        hidden: deque[bool] = deque(maxlen=2 * self._fade + 1)  # around the first that waits, when it is full
        for number, (moment, index, image) in enumerate(zip(moments, self._order, images, strict=False)):
            waiting.append(self._see(number, moment, int(index), image))
            hidden.append(waiting[-1].hidden)
            if len(waiting) > self._fade:
                yield self._finished(waiting.popleft(), list(hidden)[::-1])
        while waiting:
            hidden.append(False)
            yield self._finished(waiting.popleft(), list(hidden)[::-1])

    @property
    def warnings(self) -> list[str]:
        """What the images so far could not be given."""
        strangers = self._shot.others
        n_others = 0 if strangers is None else int(strangers[self._order[: self._n_seen]].sum())
        kinds = {
            "somebody else was seen, and not the avatar's person: left as they are": n_others,
            "no face was found: left as they are": self._n_lost - n_others,
            "the mouth was hidden: left as they are": self._n_hidden,
            "something stood before the face: it was kept in front": self._n_partly,
        }
        colours = describe_colour(self._shot.images.info.transfer)
        told = [f"the shot is of {colours}; so is what was written"] if colours else []
        return told + [f"in {count} of {len(self._order)} frames {what}" for what, count in kinds.items() if count]

    def _learned(self) -> tuple[Occlusion | None, Grain]:
        """What is usual in this shot, from frames all over it and from those after them."""
        usable = np.flatnonzero(self._shot.motion.valid)
        first = np.linspace(0, len(usable) - 1, min(_LEARN_FROM, len(usable))).round().astype(int)
        chosen = usable[np.unique(first)]
        wanted = np.union1d(chosen, np.minimum(chosen + 1, len(self._shot.motion) - 1))
        differences: list[np.ndarray] = []
        pairs: list[Pair] = []
        view, part = None, np.zeros((0, 0, 3), np.uint8)
        for index, image in zip(wanted, images_in_order(self._shot.images, wanted), strict=True):
            if view is not None:  # of the image before this one
                mask = lower_face_mask(view.points_px[:1], (view.camera.width, view.camera.height))
                pairs.append((part, view.of(image), mask > 0))
            view = self._view([self._as_shot[int(index)]], image) if index in chosen else None
            if view is not None:
                frame, part = view.frames[0], view.of(image)
                differences.append(to_cells(part, frame.rgb, frame.alpha, view.points_px[0]))
        return Occlusion.learn(differences) if differences else None, Grain.learn(pairs)

    def _see(self, number: int, moment: MotionFrame, index: int, image: np.ndarray) -> _Seen:
        """Draw the face as the shot shows it and as it shall be, and look what stands before it."""
        self._n_seen = number + 1
        was = self._as_shot[index]
        landmarks = was.landmarks.copy()
        landmarks[:, MOUTH_GROUP] = moment.motion.landmarks[:, MOUTH_GROUP]
        states = [was, was.replace(landmarks=landmarks)]
        view = self._view(states, image) if self._shot.motion.valid[index] else None
        if view is None:
            self._n_lost += 1
            return _Seen(number, moment, image, None, np.zeros((0, 0), np.float32), False)
        as_shot, points, size = view.frames[0], view.points_px[0], (view.camera.width, view.camera.height)
        mask = lower_face_mask(view.points_px, size) * self._sure[index]
        if self._occlusion is None:
            return _Seen(number, moment, image, view, mask, False)
        covered = self._occlusion.covered(to_cells(view.of(image), as_shot.rgb, as_shot.alpha, points))
        free = keep_mask(covered, points, size)
        hidden = hides_mouth(free, mask)
        self._n_hidden += hidden
        self._n_partly += not hidden and bool((free[mask > 0] < 0.5).any())
        return _Seen(number, moment, image, view, mask * free, hidden)

    def _finished(self, seen: _Seen, hidden: list[bool]) -> Frame:
        """The image with its new mouth. `hidden`: of the frames around, the latest first."""
        away = [abs(i - self._fade) for i, one in enumerate(hidden) if one]
        trust = min(1.0, min(away, default=self._fade) / self._fade)
        rgb = seen.image
        if seen.view is not None and trust > 0:
            view = seen.view
            as_shot, as_spoken = view.frames
            rgb = rgb.copy()
            part, mask, points = view.of(seen.image), seen.mask * trust, view.points_px[0]
            grain = self._grain.field(mask.shape[::-1], np.random.default_rng([self._talker.seed, seen.number]))
            view.of(rgb)[:] = paste(part, as_shot.rgb, as_spoken.rgb, as_spoken.alpha, mask, points, grain)
        rgb = np.ascontiguousarray(rgb[: self._shot.size[1], : self._shot.size[0]])
        alpha = np.full(rgb.shape[:2], 255, np.uint8)
        return Frame(seen.moment.time_s, rgb, alpha, seen.moment.motion, seen.moment.samples)

    def _view(self, motions: list[Motion], image: np.ndarray) -> _View | None:
        """The avatar in these states over nothing; None where the face lies outside the image."""
        points = [self._points_px(motion) for motion in motions]
        box = _box(points[0], points[-1], (image.shape[1], image.shape[0]))
        if box is None:
            return None
        left, top, right, bottom = box
        camera = dataclasses.replace(
            self._shot.camera, cx_px=self._shot.camera.cx_px - left, cy_px=self._shot.camera.cy_px - top,
            width=right - left, height=bottom - top,
        )  # fmt: skip
        moments = [MotionFrame(0.0, motion, np.zeros(0, np.float32)) for motion in motions]
        frames = self._talker.draw(moments, dataclasses.replace(self._talker.view, camera=camera))
        return _View((left, top), camera, frames, [each - np.array([left, top]) for each in points])

    def _points_px(self, motion: Motion) -> np.ndarray:
        pose = motion.head_pose[0]
        return self._shot.camera.project(motion.landmarks[0] @ pose[:3, :3].T + pose[:3, 3])


def _box(first: np.ndarray, second: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Around both faces with a margin, inside the image; None when they lie outside it."""
    points = np.concatenate([first, second])
    low, high = points.min(0), points.max(0)
    margin = _MARGIN * float((high - low).max())
    left, top = (int(v) for v in np.clip(np.floor(low - margin), 0, np.array(size)))
    right, bottom = (int(v) for v in np.clip(np.ceil(high + margin), 0, np.array(size)))
    return (left, top, right, bottom) if right - left >= 16 and bottom - top >= 16 else None


def near_share(valid: Bool[np.ndarray, " T"], step: float) -> Float[np.ndarray, " T"]:
    """1 far from frames without a face, falling by `step` a frame to 0 at them: what fades in time on both sides."""
    share = np.where(valid, 1.0, 0.0)
    for order in (range(1, len(valid)), range(len(valid) - 2, -1, -1)):
        for i in order:
            before = share[i - order.step]
            share[i] = min(share[i], before + step)
    return share
