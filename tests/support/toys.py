"""A small avatar and motion model that obey the protocols, for tests of what stands on them.

The avatar draws a head, two eyes and a mouth from the landmarks in closed form; the motion model
opens the mouth with the loudness of the sound, needs 80 ms of look-ahead and nods with its seed.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from gtalk.avatar.base import PLATE
from gtalk.avatar.bundle import AVATAR_VERSION
from gtalk.basis import MotionBasis
from gtalk.talk import Character, Identity, Talker
from gtalk.types import AUDIO_RATE, Camera, Motion, RenderOutput

SIZE = 64
EYE_M = 0.045


def landmarks_68(aperture_m: np.ndarray) -> np.ndarray:
    """[T] openings of the mouth -> [T,68,3] of a simple face in head space, metres."""
    face = np.zeros((len(aperture_m), 68, 3))
    jaw = np.linspace(-np.pi, 0, 17)
    face[:, 0:17, 0] = 0.07 * np.cos(jaw)
    face[:, 0:17, 1] = 0.08 * np.sin(jaw)
    face[:, 17:27, 0] = np.linspace(-0.05, 0.05, 10)
    face[:, 17:27, 1] = 0.05
    face[:, 27:36, 2] = 0.02
    for first, centre in ((36, -0.03), (42, 0.03)):
        angle = np.linspace(np.pi, -np.pi, 6, endpoint=False)
        face[:, first : first + 6, 0] = centre + 0.015 * np.cos(angle)
        face[:, first : first + 6, 1] = 0.03 + 0.006 * np.sin(angle)
    for first, count, width, height in ((48, 12, 0.027, 0.010), (60, 8, 0.022, 0.0)):
        angle = np.linspace(np.pi, -np.pi, count, endpoint=False)
        face[:, first : first + count, 0] = width * np.cos(angle)
        opening = (height + aperture_m / 2)[:, None] * np.sin(angle)
        face[:, first : first + count, 1] = -0.04 + opening
    return face


def motion_of(aperture_m: np.ndarray, first: int = 0, seed: int = 0, fps: float = 25.0) -> Motion:
    """A motion with these mouth openings; the head sways with the frame number and the seed."""
    count = len(aperture_m)
    number = np.arange(first, first + count)
    pose = np.tile(np.eye(4), (count, 1, 1))
    yaw = 0.15 * np.sin(number / 11 + seed)
    pose[:, 0, 0], pose[:, 0, 2], pose[:, 2, 0], pose[:, 2, 2] = np.cos(yaw), np.sin(yaw), -np.sin(yaw), np.cos(yaw)
    pose[:, :3, 3] = np.stack([0.01 * np.sin(number / 17 + seed), 0 * yaw, np.full(count, -0.8)], 1)
    eyes = np.where((number % 60 < 3)[:, None], 0.1, 1.0) * np.ones((count, 2))
    zero = np.zeros((count, 2))
    return Motion(fps, landmarks_68(aperture_m), eyes, zero, zero.copy(), pose, np.ones(count, bool))


class ToyStream:
    """Aperture 0.1 * rms of +-80 ms, closed below rms 0.01."""

    def __init__(self, model: ToyMotionModel, seed: int) -> None:
        self.model, self.seed = model, seed
        self.reach = round(model.lookahead_s * AUDIO_RATE)
        self.samples = np.zeros(self.reach, np.float32)  # kept ones; the first is number `start`
        self.start, self.total, self.frames = -self.reach, 0, 0

    def push(self, samples: np.ndarray) -> Motion:
        self.total += len(samples)
        self.samples = np.concatenate([self.samples, samples])
        return self._until(max(0, int(np.floor((self.total - self.reach) * self.model.fps / AUDIO_RATE)) + 1))

    def finish(self) -> Motion:
        self.samples = np.concatenate([self.samples, np.zeros(self.reach, np.float32)])
        return self._until(int(np.ceil(self.total * self.model.fps / AUDIO_RATE)))

    def _until(self, stop: int) -> Motion:
        first, stop = self.frames, max(stop, self.frames)
        centres = np.round(np.arange(first, stop) * AUDIO_RATE / self.model.fps).astype(int) - self.start
        windows = [self.samples[c - self.reach : c + self.reach].astype(np.float64) for c in centres]
        rms = np.array([np.sqrt(np.mean(w**2)) for w in windows]).reshape(-1)
        self.frames = stop
        drop = max(0, round(stop * AUDIO_RATE / self.model.fps) - self.reach - self.start)
        self.samples, self.start = self.samples[drop:], self.start + drop
        return motion_of(np.where(rms < 0.01, 0.0, 0.1 * rms), first, self.seed, self.model.fps)


class ToyMotionModel:
    """See the module's docstring."""

    lookahead_s = 0.08

    def __init__(self, basis: MotionBasis, fps: float = 25.0) -> None:
        self.basis, self.fps = basis, fps

    def stream(self, seed: int = 0) -> ToyStream:
        return ToyStream(self, seed)


class ToyAvatar:
    """Draws with soft ellipses whose centres follow the projected landmarks."""

    kind = "toy"
    fps = 25.0
    device = torch.device("cpu")

    def __init__(self, size: int | tuple[int, int] = SIZE) -> None:
        width, height = (size, size) if isinstance(size, int) else size
        self.camera = Camera(4.0 * height, width / 2, height / 2, width, height)
        self.basis = MotionBasis.fit(motion_of(np.linspace(0, 0.03, 40)))
        plate = np.linspace(40, 200, width, dtype=np.uint8)[None, :, None]
        self.plate = np.broadcast_to(plate, (height, width, 3)).copy()

    def render(self, motion, camera=None, size=None, background=PLATE) -> RenderOutput:
        camera = camera or self.camera
        camera = camera.resized(*size) if size else camera
        images = [self._one(motion[i], camera, background) for i in range(len(motion))]
        rgb, alpha = (torch.from_numpy(np.stack(part)) for part in zip(*images, strict=True))
        return RenderOutput(rgb, alpha, alpha * 0.8)

    def _one(self, motion: Motion, camera: Camera, background) -> tuple[np.ndarray, np.ndarray]:
        pose = motion.head_pose[0]
        points = camera.project(motion.landmarks[0] @ pose[:3, :3].T + pose[:3, 3])
        y, x = np.mgrid[0 : camera.height, 0 : camera.width] + 0.5

        def disc(centre, radii) -> np.ndarray:
            distance = np.sqrt(((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2)
            return np.clip((1 - distance) * min(radii) + 0.5, 0, 1)

        jaw = points[0:17]
        radius = np.ptp(jaw[:, 0]) / 2
        alpha = disc(jaw[[0, 16]].mean(0), (radius, 1.2 * radius))
        rgb = np.array([0.8, 0.6, 0.5]) * np.ones((*alpha.shape, 1))
        for first, side in ((36, 0), (42, 1)):
            eye = points[first : first + 6]
            open_share = 0.2 + 0.8 * motion.eyes[0, side]
            cover = disc(eye.mean(0), (np.ptp(eye[:, 0]) / 2, open_share * np.ptp(eye[:, 1]) / 2 + 0.2))
            rgb += cover[..., None] * (np.array([0.1, 0.2, 0.3]) - rgb)
        mouth = points[60:68]
        cover = disc(mouth.mean(0), (np.ptp(mouth[:, 0]) / 2, np.ptp(mouth[:, 1]) / 2 + 0.3))
        rgb += cover[..., None] * (np.array([0.25, 0.05, 0.05]) - rgb)
        rgb *= alpha[..., None]
        if background is not None:
            import cv2

            behind = self.plate if isinstance(background, str) else background
            if isinstance(background, str):
                behind = cv2.resize(behind, (camera.width, camera.height), interpolation=cv2.INTER_LINEAR)
            rgb += (1 - alpha[..., None]) * behind / 255.0
        return rgb.astype(np.float32), alpha.astype(np.float32)

    def to(self, device: torch.device) -> ToyAvatar:
        assert device.type == "cpu"
        return self

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"plate": torch.from_numpy(self.plate)}


def toy_talker(size: int | tuple[int, int] = SIZE, **options) -> Talker:
    """A talker of toys."""
    avatar = ToyAvatar(size)
    return Talker(avatar, ToyMotionModel(avatar.basis), **options)


def write_toy_folder(folder: Path, size: int = SIZE, fail: bool = False) -> Path:
    """A folder that `load_toy_character` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"schema_version": AVATAR_VERSION, "kind": "toy", "size": size, "fail": fail}
    facts["consent"] = {"person": "nobody", "statement": "a drawing, not a person"}
    (folder / "avatar.json").write_text(json.dumps(facts))
    return folder


def speech_like(seconds: float, seed: int = 0, rate: int = AUDIO_RATE) -> np.ndarray:
    """Syllables of noise: four a second, with a pause every third second. float32 in [-1, 1]."""
    time = np.arange(round(seconds * rate)) / rate
    loud = np.clip(np.sin(2 * np.pi * 4 * time), 0, 1) * (time % 3 < 2)
    return (0.4 * loud * np.random.default_rng(seed).standard_normal(len(time)).clip(-2, 2) / 2).astype(np.float32)


def toy_character(size: int | tuple[int, int] = SIZE) -> Character:
    """A character of toys."""
    avatar = ToyAvatar(size)
    return Character(avatar, ToyMotionModel(avatar.basis), Identity.of("0123456789abcdef" * 4, "nobody", "a drawing"))


def load_toy_character(folder: Path) -> Character:
    """What `gtalk.talk.load_character` is to real avatars; importable by worker processes."""
    facts = json.loads((Path(folder) / "avatar.json").read_text())
    if facts["fail"]:
        raise RuntimeError("this avatar is broken on purpose")
    return toy_character(facts["size"])
