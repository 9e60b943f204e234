"""What crosses module borders: cameras, motion, audio, frames, renders. Shapes, units and frames.

Frames of reference
    head    metres, right-handed: x to the right of the image, y up, z out of the face. The person's
            outer eye corners are `OUTER_EYE_DISTANCE_M` apart, which fixes the scale.
    world   metres, right-handed, fixed to the room: x right, y up, z towards the camera. The default
            camera sits at its origin and looks along -z, so a head in front of it has z < 0.
    camera  OpenCV: x right, y down, z forward.
    pixels  x right, y down; the centre of the top-left pixel is (0.5, 0.5).

`T_a_b` maps homogeneous points of frame b to frame a. Time is always in seconds: frame i of a motion
is the instant `i / fps`, sample j of an audio track is the instant `j / sample_rate`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from gtalk.errors import UserError
from gtalk.files import atomic_path
from gtalk.reading.untrusted import MOST_PIXELS, MOST_SIDE, read_arrays
from gtalk.shapes import Bool, Float, Shaped, UInt8

OUTER_EYE_DISTANCE_M = 0.09
AUDIO_RATE = 16_000  # samples a second, everywhere inside gtalk
VIDEO_FPS = 25.0  # frames a second of datasets and motion; dubs interpolate to other rates
MOTION_VERSION = 1
TORSO_BEND = 36  # numbers of the channel of that name
SWAY_GRID = 16  # control points of the channel `sway` along each side of the image
SWAY = 2 * SWAY_GRID**2
EXPRESSIONS = 58  # weights of the channel `expression`: one for each of gtalk.rig.shapes.SHAPES
_CHANNELS = {
    "torso": (4,),
    "torso_bend": (TORSO_BEND,),
    "framing": (3,),
    "sway": (SWAY,),
    "landmarks478": (478, 3),
    "arkit52": (52,),
    "expression": (EXPRESSIONS,),
}  # known names and shapes
_FARTHEST = 1e4  # no number of a motion is larger: metres, radians, shares
_SLOWEST_FPS, _FASTEST_FPS = 0.5, 1000.0


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: focal length and principal point in pixels of a `width` x `height` image."""

    focal_px: float
    cx_px: float
    cy_px: float
    width: int
    height: int
    T_camera_world: Float[np.ndarray, "4 4"] = field(default_factory=lambda: np.diag([1.0, -1.0, -1.0, 1.0]))

    def resized(self, width: int, height: int) -> Camera:
        """The same view in an image of another size. Raises UserError when the aspect ratio changes."""
        scale = width / self.width
        if abs(height / self.height - scale) > 0.5 / self.height + 1e-9:
            raise UserError(
                "size",
                expected=f"the aspect ratio of {self.width}x{self.height}",
                got=f"{width}x{height}",
                remedy="Choose a size with the same aspect ratio.",
            )
        return dataclasses.replace(
            self,
            focal_px=self.focal_px * scale,
            cx_px=self.cx_px * scale,
            cy_px=self.cy_px * scale,
            width=width,
            height=height,
        )

    def project(self, points_world: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 2"]:
        """World points to pixels."""
        points = points_world @ self.T_camera_world[:3, :3].T + self.T_camera_world[:3, 3]
        centre = np.array([self.cx_px, self.cy_px])
        return points[..., :2] / points[..., 2:3] * self.focal_px + centre

    def to_json(self) -> dict:
        """Plain JSON values."""
        return {**dataclasses.asdict(self), "T_camera_world": self.T_camera_world.tolist()}

    @staticmethod
    def from_json(value: dict) -> Camera:
        """Inverse of `to_json`. Raises KeyError, TypeError or ValueError for what is no camera."""
        focal, cx, cy = (float(value[name]) for name in ("focal_px", "cx_px", "cy_px"))
        width, height = int(value["width"]), int(value["height"])
        T = np.asarray(value["T_camera_world"], dtype=np.float64)
        if not (0 < width <= MOST_SIDE and 0 < height <= MOST_SIDE and width * height <= MOST_PIXELS):
            raise ValueError(f"a camera of {width}x{height} pixels")
        if not 1e-3 < focal < 1e7 or max(abs(cx), abs(cy)) > 1e7:
            raise ValueError(f"a camera with focal length {focal}, centre {cx}, {cy}")
        rigid = T.shape == (4, 4) and np.abs(T).max() < 1e4 and np.array_equal(T[3], [0.0, 0.0, 0.0, 1.0])
        if not rigid or np.abs(T[:3, :3] @ T[:3, :3].T - np.eye(3)).max() > 1e-3:
            raise ValueError("a camera whose T_camera_world is not a rigid motion")
        return Camera(focal, cx, cy, width, height, T)


@dataclass(frozen=True)
class Motion:
    """What a face does over T frames: the contract between audio, tracking, editing and rendering.

    Tracked and predicted motion are the same type, so anything that renders can be driven by either.
    Slicing (`motion[3:5]`, `motion[7]`) gives a Motion again; a renderer takes the frames as a batch.
    """

    fps: float
    landmarks: Float[np.ndarray, "T 68 3"]
    """68 facial landmarks in head space, metres."""
    eyes: Float[np.ndarray, "T 2"]
    """Openness of the eyes on the image's left and right: 0 closed, 1 the person's usual open eye."""
    gaze: Float[np.ndarray, "T 2"]
    """Gaze in the head's frame, radians: yaw (towards the image's right), pitch (up)."""
    brows: Float[np.ndarray, "T 2"]
    """Brow raise on the image's left and right, metres above the person's rest."""
    head_pose: Float[np.ndarray, "T 4 4"]
    """T_world_head."""
    valid: Bool[np.ndarray, " T"]
    """False where no face was seen: the frame is kept, its values are interpolated."""
    channels: dict[str, Shaped[np.ndarray, "T ..."]] = field(default_factory=dict)
    """Optional, by name. Known names: `torso` [T,4] (2D similarity of the torso relative to its rest:
    dx, dy in image heights, rotation in radians, log scale), `torso_bend` [T,36] (what a similarity
    leaves: displacements of points across the torso, image heights), `sway` [T,512] (displacements from one rest
    frame of 16 x 16 control points across the image, which hair and clothes follow, image heights), `framing` [T,3]
    (camera framing relative to the background plate: dx, dy in image heights, log scale), `landmarks478`
    [T,478,3] metres,
    `arkit52` [T,52], `expression` [T,58] (weights of `gtalk.rig.shapes.SHAPES` *on top of* what `landmarks`,
    `eyes` and `gaze` say: codes, clamps and LLE never see it, renderers add it; absent means zeros)."""

    def __len__(self) -> int:
        return len(self.landmarks)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self) / self.fps

    def __getitem__(self, index: int | slice | np.ndarray) -> Motion:
        if isinstance(index, (int, np.integer)):
            index = slice(int(index), int(index) + 1 or None)
        return Motion(
            self.fps,
            self.landmarks[index],
            self.eyes[index],
            self.gaze[index],
            self.brows[index],
            self.head_pose[index],
            self.valid[index],
            {k: v[index] for k, v in self.channels.items()},
        )

    def replace(self, **changes: object) -> Motion:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]

    @staticmethod
    def concatenate(parts: list[Motion]) -> Motion:
        """Join in time. Channels that not all parts have are dropped, but for `expression`: where it is absent, no
        expression was meant.
        """
        if any("expression" in p.channels for p in parts):
            parts = [p._with_expression() for p in parts]
        names = set(parts[0].channels).intersection(*(p.channels for p in parts))
        arrays = {
            name: np.concatenate([getattr(p, name) for p in parts])
            for name in ("landmarks", "eyes", "gaze", "brows", "head_pose", "valid")
        }
        channels = {name: np.concatenate([p.channels[name] for p in parts]) for name in sorted(names)}
        return Motion(parts[0].fps, **arrays, channels=channels)

    def _with_expression(self) -> Motion:
        if "expression" in self.channels:
            return self
        zeros = np.zeros((len(self), EXPRESSIONS), np.float32)
        return self.replace(channels={**self.channels, "expression": zeros})

    def save(self, path: Path | str) -> None:
        """Write `.motion.npz` (versioned, no pickle)."""
        fields = {n: getattr(self, n) for n in ("landmarks", "eyes", "gaze", "brows", "head_pose", "valid")}
        channels = {f"channel.{name}": value for name, value in self.channels.items()}
        with atomic_path(Path(path)) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, version=MOTION_VERSION, fps=self.fps, **fields, **channels)

    @staticmethod
    def load(path: Path | str) -> Motion:
        """Read `.motion.npz`. Raises UserError when the file is not one or is of a newer version."""
        try:
            stored = read_arrays(Path(path))
            version = int(stored.pop("version"))
            fps = float(stored.pop("fps"))
            prefix = "channel."
            channels = {n.removeprefix(prefix): v for n, v in stored.items() if n.startswith(prefix)}
            fields = {n: v for n, v in stored.items() if not n.startswith(prefix)}
            if version > MOTION_VERSION:
                raise ValueError(f"version {version}")
            motion = Motion(fps, **fields, channels=channels)
            motion._check()
            return motion
        except FileNotFoundError:
            raise UserError(
                f"motion file {path}", expected="an existing file", got="nothing there", remedy="Check the path."
            ) from None
        except Exception as error:
            raise UserError(
                f"motion file {path}",
                expected=f"a gtalk motion file (.motion.npz, version <= {MOTION_VERSION})",
                got=f"{type(error).__name__}: {error}",
                remedy="Write it again with `gtalk motion track` or `drive`.",
            ) from error

    def _check(self) -> None:
        frames = len(self.landmarks)
        shapes = {"landmarks": (68, 3), "eyes": (2,), "gaze": (2,), "brows": (2,), "head_pose": (4, 4), "valid": ()}
        for name, rest in shapes.items():
            value = getattr(self, name)
            if value.shape != (frames, *rest):
                raise ValueError(f"{name} has shape {value.shape}, expected {(frames, *rest)}")
            if value.dtype.kind != ("b" if name == "valid" else "f"):
                raise ValueError(f"{name} holds {value.dtype}")
            if not (np.abs(value) < _FARTHEST).all():
                raise ValueError(f"{name} is not finite numbers of a usual size")
        for name, value in self.channels.items():
            rest = _CHANNELS.get(name, value.shape[1:])
            if value.ndim < 1 or value.shape != (frames, *rest):
                raise ValueError(f"channel {name} has shape {value.shape}, expected {(frames, *rest)}")
            if value.dtype.kind not in "biuf" or not (np.abs(value) < _FARTHEST).all():
                raise ValueError(f"channel {name} is not finite numbers of a usual size")
        if not _SLOWEST_FPS <= self.fps <= _FASTEST_FPS:
            raise ValueError(f"{self.fps} frames a second")


@dataclass(frozen=True)
class AudioTrack:
    """Mono audio: samples in [-1, 1]."""

    samples: Float[np.ndarray, " N"]
    sample_rate: int = AUDIO_RATE

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate


@dataclass(frozen=True)
class RenderOutput:
    """B rendered images. With no background, `rgb` is premultiplied by `alpha`."""

    rgb: Float[torch.Tensor, "B H W 3"]
    """Linear blend in display space, 0 to 1."""
    alpha: Float[torch.Tensor, "B H W"]
    """Coverage by the person."""
    depth: Float[torch.Tensor, "B H W"]
    """Expected distance along the camera's axis, metres; 0 where nothing is."""

    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter((self.rgb, self.alpha, self.depth))


@dataclass(frozen=True)
class Frame:
    """One image of a talking avatar and the sound that belongs to it."""

    time_s: float
    rgb: UInt8[np.ndarray, "H W 3"]
    alpha: UInt8[np.ndarray, "H W"]
    motion: Motion
    """One frame."""
    samples: Float[np.ndarray, " N"]
    """Audio of [time_s, time_s + 1 / fps) at AUDIO_RATE."""
