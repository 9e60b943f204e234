"""A person whose mouth follows synthetic vowels exactly: datasets on which learning can be checked."""

from __future__ import annotations

import itertools
import json
import wave
from pathlib import Path

import numpy as np

from gtalk.basis import LIPS
from gtalk.dataset.format import DATASET_VERSION, Dataset
from gtalk.geometry.pose import pose_matrices
from gtalk.motion.model.net import NetConfig
from gtalk.motion.training.augment import AugmentConfig
from gtalk.motion.training.fit_net import FitConfig
from gtalk.motion.training.train import MotionConfig
from gtalk.types import Motion
from tests.speech.voices import babble
from tests.support.toys import landmarks_68

OPEN_M = 0.014
SMALL = MotionConfig(
    net=NetConfig(channels=24, dropout=0.05),
    fit=FitConfig(steps=160, batch=12, crop_frames=32, learning_rate=4e-3, averaging=0.95, check_every=40),
    augment=AugmentConfig(copies=1),
    phones=False,
    articulation=False,
)
"""A training of seconds."""


def motion_of_openness(openness: np.ndarray, seed: int = 0) -> Motion:
    """A face that opens so far, with a few other movements, blinks every 2.4 s and a swaying head."""
    rng = np.random.default_rng(seed)
    count = len(openness)
    time = np.arange(count) / 25.0
    landmarks = landmarks_68(OPEN_M * openness)
    landmarks[:, LIPS, 0] *= (1.0 - 0.12 * openness)[:, None]
    landmarks[:, 5:12, 1] -= 0.5 * OPEN_M * openness[:, None]
    brows = np.stack([0.002 * np.sin(2 * np.pi * 0.3 * time)] * 2, 1)
    eyes = np.ones((count, 2))
    for start in range(20, count - 6, 60):
        eyes[start : start + 6] = np.array([0.6, 0.1, 0.0, 0.3, 0.7, 0.9])[:, None]
    landmarks[:, 17:27, 1] += brows[:, :1]
    landmarks[:, [37, 38, 43, 44], 1] -= 0.006 * (1 - eyes[:, :1])
    landmarks += 0.0001 * rng.normal(size=landmarks.shape)
    phase = rng.uniform(0, 6, 6)
    rates = np.array([0.31, 0.43, 0.23, 0.17, 0.29, 0.13])
    sway = np.sin(2 * np.pi * time[:, None] * rates + phase) * [0.05, 0.08, 0.03, 0.006, 0.004, 0.008]
    mean = np.eye(4)
    mean[:3, 3] = [0.01, 0.02, -0.7]
    gaze = 0.08 * np.sign(np.sin(2 * np.pi * 0.21 * time[:, None] + [0.0, 1.0]))
    channels = {"torso": sway @ rng.normal(size=(6, 4)) * 0.2}
    return Motion(25.0, landmarks, eyes, gaze, brows, pose_matrices(sway, mean), np.ones(count, bool), channels)


def write_dataset(folder: Path, seconds: float = 44.0, seed: int = 0, cut_at: int | None = None) -> Dataset:
    """A dataset folder with what motion training reads: manifest, motion, sound."""
    folder.mkdir(parents=True, exist_ok=True)
    samples, openness = babble(seconds, seed)
    motion = motion_of_openness(openness, seed)
    motion.save(folder / "motion.npz")
    write_sound(folder / "audio.wav", samples)
    edges = [0, *([cut_at] if cut_at else []), len(motion)]
    segments = [{"start": a, "stop": b, "source": "x"} for a, b in itertools.pairwise(edges)]
    facts = {"schema_version": DATASET_VERSION, "fps": 25.0, "n_frames": len(motion), "width": 64, "height": 64}
    (folder / "manifest.json").write_text(json.dumps({**facts, "segments": segments, "sources": [], "stages": {}}))
    return Dataset(folder)


def write_sound(path: Path, samples: np.ndarray) -> None:
    """16 kHz mono wav."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(np.clip(np.rint(samples * 32768.0), -32768, 32767).astype("<i2").tobytes())
