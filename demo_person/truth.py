"""The exact truth beside the clip: what is drawn where, as numbers. README.md in data/demo lists the arrays."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from demo_person.speaking.animation import Performance
from demo_person.speaking.speech import Speech
from demo_person.speaking.visemes import PARAMETERS
from gtalk.files import atomic_path
from gtalk.topology import LANDMARKS68
from gtalk.types import Camera

MASK_STRIDE = 10
"""Masks are kept of every tenth frame."""
UNIT_M = 1e-5
"""Landmarks are stored in whole steps of this size."""


@dataclass(frozen=True)
class Truth:
    """Truth of T frames."""

    fps: float
    camera: Camera
    T_world_head: np.ndarray
    """[T,4,4]"""
    T_world_torso: np.ndarray
    """[T,4,4]"""
    landmarks478: np.ndarray
    """[T,478,3] head space, metres."""
    eyes: np.ndarray
    """[T,2] openness: 1 open, 0 closed; picture's left and right."""
    gaze: np.ndarray
    """[T,2] yaw to the picture's right, pitch up, radians, in the head's frame."""
    brows: np.ndarray
    """[T,2] raise, metres."""
    aperture: np.ndarray
    """[T] vertical opening between the inner lips' middle points, metres; 0 where they touch."""
    mouth: np.ndarray
    """[T,8] parameters of visemes.PARAMETERS."""
    smile: np.ndarray
    """[T] corners of the mouth up, 0 to 1."""
    phonemes: np.ndarray
    """[N] names, "_" is a pause."""
    phoneme_starts_s: np.ndarray
    phoneme_ends_s: np.ndarray
    mask_frames: np.ndarray
    """[M] frames whose masks are kept."""
    masks: list[np.ndarray]
    """M uint8 [H,W] pictures of MaskClass."""

    @property
    def landmarks68(self) -> np.ndarray:
        """[T,68,3] head space, metres."""
        return self.landmarks478[:, LANDMARKS68]

    @property
    def performance(self) -> Performance:
        """What was rendered, as the animation gave it."""
        return Performance(
            self.fps,
            self.mouth,
            self.smile,
            1 - self.eyes,
            self.brows,
            self.gaze,
            self.T_world_head,
            self.T_world_torso,
        )

    @cached_property
    def points_px(self) -> np.ndarray:
        """[T,478,2] the landmarks in the picture."""
        rotation, place = self.T_world_head[:, :3, :3], self.T_world_head[:, None, :3, 3]
        return self.camera.project(np.einsum("tij,tnj->tni", rotation, self.landmarks478) + place)


def quantised(values: np.ndarray) -> np.ndarray:
    """Metres in whole steps of UNIT_M."""
    return np.round(values / UNIT_M) * UNIT_M


def assemble(
    camera: Camera,
    performance: Performance,
    speech: Speech,
    landmarks: np.ndarray,
    masks: list[np.ndarray],
) -> Truth:
    """Truth of a performance whose frames were rendered."""
    points = quantised(landmarks)
    frames = len(landmarks)
    end_s = frames / performance.fps
    heard = speech.starts_s < end_s
    return Truth(
        performance.fps,
        camera,
        performance.T_world_head[:frames],
        performance.T_world_torso[:frames],
        points,
        (1 - performance.blink[:frames]),
        performance.gaze[:frames],
        performance.brows[:frames],
        np.maximum(points[:, 13, 1] - points[:, 14, 1], 0),
        performance.mouth[:frames],
        performance.smile[:frames],
        np.array(speech.names)[heard],
        speech.starts_s[heard],
        speech.ends_s[heard],
        np.arange(0, frames, MASK_STRIDE),
        masks,
    )


def save_truth(folder: Path, truth: Truth) -> None:
    """Write truth.npz and camera.json."""
    files = [cv2.imencode(".png", mask, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].ravel() for mask in truth.masks]
    steps = np.round(truth.landmarks478 / UNIT_M).astype(np.int16)
    moved = np.concatenate([steps[:1], np.diff(steps, axis=0)])
    small = {
        name: getattr(truth, name).astype(np.float32)
        for name in ("T_world_head", "T_world_torso", "eyes", "gaze", "brows", "aperture", "mouth", "smile")
    }
    with atomic_path(folder / "truth.npz") as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file,
            fps=truth.fps,
            landmarks478_steps=np.ascontiguousarray(moved.transpose(1, 2, 0)),
            mouth_parameters=np.array(PARAMETERS),
            phonemes=truth.phonemes,
            phoneme_starts_s=truth.phoneme_starts_s,
            phoneme_ends_s=truth.phoneme_ends_s,
            mask_frames=truth.mask_frames,
            mask_png=np.concatenate(files),
            mask_ends=np.cumsum([len(f) for f in files]),
            **small,
        )
    with atomic_path(folder / "camera.json") as temporary:
        temporary.write_text(json.dumps(truth.camera.to_json(), indent=2) + "\n", encoding="utf-8")


def load_truth(folder: Path) -> Truth:
    """Read what `save_truth` wrote."""
    camera = Camera.from_json(json.loads((folder / "camera.json").read_text(encoding="utf-8")))
    with np.load(folder / "truth.npz", allow_pickle=False) as file:
        data = dict(file)
    steps = np.cumsum(data["landmarks478_steps"].astype(np.int32), axis=2).transpose(2, 0, 1)
    ends = data["mask_ends"]
    pieces = np.split(data["mask_png"], ends[:-1])
    masks = [cv2.imdecode(piece, cv2.IMREAD_GRAYSCALE) for piece in pieces]
    return Truth(
        float(data["fps"]),
        camera,
        data["T_world_head"].astype(np.float64),
        data["T_world_torso"].astype(np.float64),
        steps * UNIT_M,
        data["eyes"],
        data["gaze"],
        data["brows"],
        data["aperture"],
        data["mouth"],
        data["smile"],
        data["phonemes"],
        data["phoneme_starts_s"],
        data["phoneme_ends_s"],
        data["mask_frames"],
        masks,
    )
