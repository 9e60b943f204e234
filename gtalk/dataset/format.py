"""The dataset folder: what `prepare` writes, what `fit` and `motion train` read.

    manifest.json        schema version, sources and their hashes, config and hash of every stage, segments
    frames/000000.jpg    RGB pictures, JPEG quality 97 without chroma subsampling
    audio.wav            16 kHz mono, frame i of the pictures starts at sample i * 16000 / fps
    landmarks.npz        points_px [T,478,2], valid [T], (arkit52 [T,52])
    camera.json          Camera
    person.npz           shape [478,3] metres, expressions [K,478,3], triangles [F,3]
    poses.npz            T_world_head [T,4,4], torso [T,4], framing [T,3]
    masks/000000.png     MaskClass of every pixel
    mattes/000000.png    soft coverage by the person, 0 to 255
    background.png       the plate: what stands behind the person
    audio_features.npz   features at 100 Hz
    motion.npz           the tracked Motion
    report.html          what a person should know before an hour of training
    track.npz, prepare.json, clips.json   what `prepare` needs to resume

Frame i of everything is the same instant; a frame with no face is marked, never dropped.

`torso` = [dx, dy, theta, s] says where the torso of a rest picture lies in a frame, as a 2D similarity about
the picture's centre c = (width / 2, height / 2). A point of the rest picture is seen at

    p = c + exp(s) R(theta) (p_rest - c) + (dx, dy) height,     R(theta) = [[cos, -sin], [sin, cos]]

in pixels with y down, so a positive theta turns clockwise on the screen. The rest is the frame
`stages.background.facts.torso_rest_frame` of the manifest, the one nearest to the median.

`framing` = [dx, dy, s] is the same with theta = 0 and takes a point of the plate to the frame: how the camera
frames the room there, relative to the plate (the framing of the longest segment). It changes only at cuts.

A clip with larger pictures than the dataset's is cropped and scaled: with `crop` = {x, y, width, height} of its
entry in `sources`, dataset pixel (u, v) is source pixel (x + u * crop.width / width, y + v * crop.height / height).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from gtalk.errors import UserError
from gtalk.shapes import Float, Int, UInt8
from gtalk.types import Camera, Motion

DATASET_VERSION = 1


class MaskClass(IntEnum):
    """Values of the pictures in `masks/`."""

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
    """Reads a dataset folder. Pictures are decoded on demand; nothing large stays in memory."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        path = self.root / "manifest.json"
        try:
            self.manifest = json.loads(path.read_text(encoding="utf-8"))
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

    @property
    def fps(self) -> float:
        """Pictures a second."""
        return float(self.manifest["fps"])

    @property
    def n_frames(self) -> int:
        """Number of instants T."""
        return int(self.manifest["n_frames"])

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the pictures."""
        return int(self.manifest["width"]), int(self.manifest["height"])

    @cached_property
    def segments(self) -> list[Segment]:
        """The parts without a cut."""
        return [Segment(**segment) for segment in self.manifest["segments"]]

    @cached_property
    def camera(self) -> Camera:
        """The camera of all pictures."""
        return Camera.from_json(json.loads((self.root / "camera.json").read_text(encoding="utf-8")))

    @cached_property
    def motion(self) -> Motion:
        """The tracked motion, one frame per picture."""
        return Motion.load(self.root / "motion.npz")

    @cached_property
    def person(self) -> Person:
        """The tracked person."""
        with np.load(self.root / "person.npz", allow_pickle=False) as file:
            return Person(file["shape"], file["expressions"], file["triangles"])

    @cached_property
    def points_px(self) -> Float[np.ndarray, "T 478 2"]:
        """Detected landmarks in pixels (before the bundle adjustment)."""
        with np.load(self.root / "landmarks.npz", allow_pickle=False) as file:
            return file["points_px"]

    @property
    def audio_path(self) -> Path:
        """16 kHz mono wav, aligned with the pictures."""
        return self.root / "audio.wav"

    def frame(self, index: int) -> UInt8[np.ndarray, "H W 3"]:
        """Picture of an instant, RGB."""
        return cv2.cvtColor(self._read("frames", index, ".jpg", cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)

    def labels(self, index: int) -> UInt8[np.ndarray, "H W"]:
        """MaskClass of every pixel."""
        return self._read("masks", index, ".png", cv2.IMREAD_GRAYSCALE)

    def matte(self, index: int) -> UInt8[np.ndarray, "H W"]:
        """Soft coverage by the person, 255 = fully."""
        return self._read("mattes", index, ".png", cv2.IMREAD_GRAYSCALE)

    def background(self) -> UInt8[np.ndarray, "H W 3"]:
        """The background plate, RGB."""
        picture = cv2.imread(str(self.root / "background.png"), cv2.IMREAD_COLOR)
        if picture is None:
            raise self._damaged("background.png")
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)

    def _read(self, folder: str, index: int, suffix: str, flags: int) -> np.ndarray:
        name = f"{folder}/{index:06d}{suffix}"
        picture = cv2.imread(str(self.root / name), flags)
        if picture is None:
            raise self._damaged(name)
        return picture

    def _damaged(self, name: str) -> UserError:
        return UserError(
            f"dataset {self.root}",
            expected=f"a readable {name}",
            got="none",
            remedy="Run `gtalk prepare` again: finished stages are kept.",
        )
