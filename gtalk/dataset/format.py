"""The dataset folder: what `prepare` writes, what `fit` and `motion train` read.

    manifest.json        schema version, sources and their hashes, config and hash of every stage, segments
    frames/000000.jpg    RGB images, JPEG quality 97 without chroma subsampling
    sound.wav            16 kHz mono as the clips have it, frame i of the images starts at sample i * 16000 / fps
    audio.wav            the same, each clip's advanced by its `sound_advanced_s` in `sources`: in time with the lips
    light.npz            gain [T,3]: what a stored frame's red, green and blue are multiplied by; optional
    camera_path.npz      H_frame_plate [T,3,3], known [T], reference: where a camera that moves sees the plate; optional
    landmarks.npz        points_px [T,478,2], valid [T], (arkit52 [T,52])
    camera.json          Camera
    person.npz           shape [478,3] metres, expressions [K,478,3], triangles [F,3]
    poses.npz            T_world_head [T,4,4], torso [T,4], torso_bend [T,36], framing [T,3], (sway [T,512])
    masks/000000.png     MaskClass of every pixel
    mattes/000000.png    soft coverage by the person, 0 to 255
    background.png       the plate: what stands behind the person
    motion.npz           the tracked Motion
    report.html          what a person should know before an hour of training
    track.npz, prepare.json, clips.json   what `prepare` needs to resume

Frame i of everything is the same instant; a frame with no face is marked, never dropped.

`torso` = [dx, dy, theta, s] says where the torso of a rest image lies in a frame, as a 2D similarity about
the image's centre c = (width / 2, height / 2). A point of the rest image is seen at

    p = c + exp(s) R(theta) (p_rest - c) + (dx, dy) height,     R(theta) = [[cos, -sin], [sin, cos]]

in pixels with y down, so a positive theta turns clockwise on the screen. The rest is the frame
`stages.background.facts.torso_rest_frame` of the manifest, the one nearest to the median.

`framing` = [dx, dy, s] is the same with theta = 0 and takes a point of the plate to the frame: how the camera
frames the room there, relative to the plate (the framing in the middle of the longest segment). It changes at cuts, and
slowly where the camera drifts.

A clip with larger images than the dataset's is cropped and scaled: with `crop` = {x, y, width, height} of its
entry in `sources`, dataset pixel (u, v) is source pixel (x + u * crop.width / width, y + v * crop.height / height).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

from gtalk.dataset.steady import LIGHT_FILE, before_plate, evened, read_gains
from gtalk.errors import UserError
from gtalk.reading.untrusted import MOST_PIXELS, MOST_SIDE, member, read_arrays, read_image, read_json
from gtalk.shapes import Bool, Float, Int, UInt8
from gtalk.types import Camera, Motion

DATASET_VERSION = 1
MOST_FRAMES = 2_000_000  # 22 hours at 25 a second
Part = TypeVar("Part")


class MaskClass(IntEnum):
    """Values of the images in `masks/`."""

    BACKGROUND = 0
    HEAD = 1  # skin, hair and ears
    NECK = 2
    TORSO = 3
    LIPS = 4
    MOUTH = 5  # the interior: teeth, tongue, gap
    EYES = 6


HEAD_CLASSES = (MaskClass.HEAD, MaskClass.LIPS, MaskClass.MOUTH, MaskClass.EYES)


@dataclass(frozen=True)
class Segment:
    """Frames [start, stop) without a cut inside. Nothing is smoothed or tracked across its ends."""

    start: int
    stop: int
    source: str
    """Name of the clip the frames come from."""


@dataclass(frozen=True)
class Person:
    """The tracked person: a face mesh and its linear expressions, in head space, metres."""

    shape: Float[np.ndarray, "478 3"]
    expressions: Float[np.ndarray, "K 478 3"]
    triangles: Int[np.ndarray, "F 3"]


class Dataset:
    """Reads a dataset folder. Images are decoded on demand; nothing large stays in memory."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        try:
            self.manifest = read_json(member(self.root, "manifest.json"))
            if not isinstance(self.manifest, dict):
                raise ValueError("not an object in braces")
        except (OSError, ValueError) as error:
            raise UserError(
                f"dataset {root}",
                expected="a folder with a readable manifest.json",
                got=f"{type(error).__name__}: {error}",
                remedy="Make it with `gtalk prepare CLIP -o DATASET`.",
            ) from error
        version = self.manifest.get("schema_version")
        if not isinstance(version, int) or version > DATASET_VERSION:
            raise UserError(
                f"dataset {root}",
                expected=f"schema_version <= {DATASET_VERSION}",
                got=repr(version),
                remedy="Update gtalk, or prepare the clip again.",
            )
        if problem := manifest_problem(self.manifest):
            raise self._unlike("manifest.json", problem)

    @property
    def fps(self) -> float:
        """Images a second."""
        return float(self.manifest["fps"])

    @property
    def n_frames(self) -> int:
        """Number of instants T."""
        return int(self.manifest["n_frames"])

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the images."""
        return int(self.manifest["width"]), int(self.manifest["height"])

    @cached_property
    def segments(self) -> list[Segment]:
        """The parts without a cut."""
        return [Segment(**segment) for segment in self.manifest["segments"]]

    @cached_property
    def camera(self) -> Camera:
        """The camera of all images."""
        return self._part("camera.json", lambda path: Camera.from_json(read_json(path)))

    @cached_property
    def motion(self) -> Motion:
        """The tracked motion, one frame per image."""
        return Motion.load(self.root / "motion.npz")

    @cached_property
    def person(self) -> Person:
        """The tracked person."""
        return self._part("person.npz", _person)

    @cached_property
    def points_px(self) -> Float[np.ndarray, "T 478 2"]:
        """Detected landmarks in pixels (before the bundle adjustment)."""
        return self._part("landmarks.npz", lambda path: _points(path, self.n_frames))

    @cached_property
    def foreign_sound(self) -> Bool[np.ndarray, " T"]:
        """Frames whose sound is not the person's alone: another voice, music. All False where nobody looked for it."""
        flags = np.zeros(self.n_frames, bool)
        facts = self.manifest.get("stages", {}).get("sync", {}).get("facts", {})
        found = facts.get("foreign", []) if isinstance(facts, dict) else []
        for one in found if isinstance(found, list) else []:
            if isinstance(one, dict) and all(type(one.get(name)) is int for name in ("start", "stop")):
                flags[max(0, one["start"]) : max(0, one["stop"])] = True
        return flags

    @property
    def audio_path(self) -> Path:
        """16 kHz mono wav, aligned with the images."""
        return self.root / "audio.wav"

    @cached_property
    def gains(self) -> Float[np.ndarray, "T 3"] | None:
        """What evens out exposure and white balance; None where they did not drift or nobody looked."""
        if not (self.root / LIGHT_FILE).exists():
            return None
        return self._part(LIGHT_FILE, lambda path: read_gains(path, self.n_frames))

    @cached_property
    def by_matte(self) -> bool:
        """Whether only the person is worth learning from: the camera moves, or the background lives."""
        facts = self.manifest.get("stages", {}).get("background", {}).get("facts", {})
        return isinstance(facts, dict) and facts.get("by_matte") is True

    @cached_property
    def _plate(self) -> UInt8[np.ndarray, "H W 3"]:
        return self.background()

    def frame(self, index: int) -> UInt8[np.ndarray, "H W 3"]:
        """Image of an instant, RGB, as if exposure and white balance had been locked.

        Where `by_matte`, it is the person before the plate.
        """
        stored = cv2.cvtColor(self._read("frames", index, ".jpg", cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        even = evened(stored, None if self.gains is None else self.gains[index])
        return before_plate(even, self.matte(index), self._plate) if self.by_matte else even

    def labels(self, index: int) -> UInt8[np.ndarray, "H W"]:
        """MaskClass of every pixel."""
        return self._read("masks", index, ".png", cv2.IMREAD_GRAYSCALE)

    def matte(self, index: int) -> UInt8[np.ndarray, "H W"]:
        """Soft coverage by the person, 255 = fully."""
        return self._read("mattes", index, ".png", cv2.IMREAD_GRAYSCALE)

    def background(self) -> UInt8[np.ndarray, "H W 3"]:
        """The background plate, RGB."""
        return cv2.cvtColor(self._part("background.png", read_image), cv2.COLOR_BGR2RGB)

    def _read(self, folder: str, index: int, suffix: str, flags: int) -> np.ndarray:
        name = f"{folder}/{index:06d}{suffix}"
        image = self._part(name, lambda path: read_image(path, flags))
        if image.shape[1::-1] != self.size:
            raise self._unlike(name, f"an image of {image.shape[1]}x{image.shape[0]}")
        return image

    def _part(self, name: str, read: Callable[[Path], Part]) -> Part:
        """One file of the folder; whatever is wrong with it is a UserError that names it."""
        try:
            return read(member(self.root, name))
        except (OSError, ValueError, KeyError, TypeError, ArithmeticError, MemoryError) as error:
            raise self._unlike(name, words(error)) from error

    def _unlike(self, name: str, got: str) -> UserError:
        return UserError(
            f"dataset {self.root}",
            expected=f"a whole {name}",
            got=got,
            remedy="Run `gtalk prepare` again: finished stages are kept.",
        )


def manifest_problem(manifest: dict[str, Any]) -> str:
    """What is wrong with the numbers of a manifest, in words; empty when they can be relied on."""
    kinds: dict[str, tuple[type, ...]] = {"fps": (int, float), "n_frames": (int,), "width": (int,), "height": (int,)}
    for name, kind in kinds.items():
        if name not in manifest:
            return f"it lacks {name}"
        if not isinstance(manifest[name], kind) or isinstance(manifest[name], bool):
            return f"{name} is {manifest[name]!r}"
    width, height = manifest["width"], manifest["height"]
    if not (0 < manifest["n_frames"] <= MOST_FRAMES and 0.5 <= manifest["fps"] <= 1000.0):
        return f"no frames or no rate: {manifest['n_frames']} at {manifest['fps']} a second"
    if not (1 < width <= MOST_SIDE and 1 < height <= MOST_SIDE and width * height <= MOST_PIXELS):
        return f"no size: {width}x{height}"
    segments = manifest.get("segments")
    if not isinstance(segments, list) or not segments:
        return "it lacks segments"
    position = 0
    for segment in segments:
        if not isinstance(segment, dict) or set(segment) != {"start", "stop", "source"}:
            return f"a segment is {segment!r}"
        if not all(type(segment[n]) is int for n in ("start", "stop")) or not isinstance(segment["source"], str):
            return f"a segment is {segment!r}"
        if segment["start"] != position or segment["stop"] <= position:
            return f"the segment at frame {segment['start']} does not follow the one before it"
        position = segment["stop"]
    if position != manifest["n_frames"]:
        return f"segments end at frame {position} of {manifest['n_frames']}"
    stages = manifest.get("stages", {})
    if not isinstance(stages, dict) or not all(isinstance(stage, dict) for stage in stages.values()):
        return "its stages are no objects"
    return ""


def words(error: Exception) -> str:
    """An error as a few words of a message."""
    if isinstance(error, FileNotFoundError):
        return "missing"
    if isinstance(error, json.JSONDecodeError):
        return "not JSON"
    return f"{type(error).__name__}: {error}"


def _person(path: Path) -> Person:
    arrays = read_arrays(path)
    person = Person(arrays["shape"], arrays["expressions"], arrays["triangles"])
    if person.shape.shape != (478, 3) or person.expressions.shape[1:] != (478, 3) or person.triangles.shape[1:] != (3,):
        raise ValueError("arrays of the wrong shape")
    kinds = person.shape.dtype.kind + person.expressions.dtype.kind + person.triangles.dtype.kind
    if kinds not in {"ffi", "ffu"}:
        raise ValueError("arrays of the wrong type")
    if person.triangles.min(initial=0) < 0 or person.triangles.max(initial=0) >= 478:
        raise ValueError("triangles name vertices that do not exist")
    if not np.isfinite(person.shape).all() or not np.isfinite(person.expressions).all():
        raise ValueError("vertices that are not finite")
    return person


def _points(path: Path, n_frames: int) -> np.ndarray:
    points = read_arrays(path)["points_px"]
    if points.shape != (n_frames, 478, 2) or points.dtype.kind != "f":
        raise ValueError(f"points_px of shape {points.shape}, {points.dtype}")
    return points
