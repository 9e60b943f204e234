"""The demo person's true lips for speech in any voice of espeak-ng: its rules, and a map fitted to its clip."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path

import numpy as np

from demo_person.speaking.speech import Speech
from demo_person.speaking.visemes import mouth_motion
from demo_person.truth import load_truth
from gtalk.basis import MOUTH_GROUP
from gtalk.types import VIDEO_FPS, Motion

DEMO = Path(__file__).parents[2] / "data" / "demo"
_RIDGE = 1e-3


def lips_of(speech: Speech, count: int) -> Motion:
    """`count` frames at VIDEO_FPS with the lips and the jaw of this speech; all else at rest."""
    mean, weights = _map()
    if speech.starts_s[0] > 0:  # the pause before the first sound keeps the lips shut to its end
        names, edge = ["_", *speech.names], speech.starts_s[:1]
        starts, ends = np.append(0.0, speech.starts_s), np.append(edge, speech.ends_s)
        speech = dataclasses.replace(speech, names=names, starts_s=starts, ends_s=ends)
    parameters = mouth_motion(speech, np.arange(count) / VIDEO_FPS)
    landmarks = np.repeat(mean[None], count, axis=0)
    landmarks[:, MOUTH_GROUP] = (_design(parameters) @ weights).reshape(count, len(MOUTH_GROUP), 3)
    pose = np.tile(np.eye(4), (count, 1, 1))
    zeros, ones = np.zeros((count, 2)), np.ones((count, 2))
    return Motion(VIDEO_FPS, landmarks, ones, zeros, zeros.copy(), pose, np.ones(count, bool))


@cache
def _map() -> tuple[np.ndarray, np.ndarray]:
    """(mean landmarks, weights): parameters of the mouth -> landmarks of MOUTH_GROUP, quadratic."""
    truth = load_truth(DEMO)
    landmarks = truth.landmarks68
    design = _design(truth.mouth)
    wanted = landmarks[:, MOUTH_GROUP].reshape(len(landmarks), -1)
    gram = design.T @ design + _RIDGE * np.eye(design.shape[1])
    return landmarks.mean(0), np.linalg.solve(gram, design.T @ wanted)


def _design(parameters: np.ndarray) -> np.ndarray:
    pairs = [parameters[:, i] * parameters[:, j] for i in range(8) for j in range(i, 8)]
    return np.stack([np.ones(len(parameters)), *parameters.T, *pairs], axis=1)
