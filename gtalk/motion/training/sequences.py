"""A dataset as the motion trainer sees it: feature rows, face codes, and which frames may be used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtalk.dataset.format import Dataset, Segment
from gtalk.dataset.split import first_test_frame
from gtalk.errors import UserError
from gtalk.motion.model.net import ROWS_PER_FRAME
from gtalk.motion.training.augment import AugmentConfig, augmented
from gtalk.shapes import Bool, Float
from gtalk.speech.base import encode
from gtalk.speech.features import SpeechFeatures
from gtalk.types import AUDIO_RATE, VIDEO_FPS, Motion

MIN_FRAMES = 50


@dataclass(frozen=True)
class TrainingClip:
    """The training part of a dataset; what comes after is held out and not even read."""

    samples: Float[np.ndarray, " N"]
    motion: Motion
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class Utterance:
    """One recording (original or augmented) with its targets."""

    rows: Float[np.ndarray, "R D"]
    codes: Float[np.ndarray, "T K"]
    usable: Bool[np.ndarray, " T"]
    """Face seen, and not held back for validation."""
    runs: tuple[tuple[int, int], ...]
    """[start, stop) of stretches without a cut."""


def read_training_clip(dataset: Dataset, seconds: float | None = None) -> TrainingClip:
    """Everything before the held-out part (of its first `seconds`). Raises UserError for too short a clip."""
    from gtalk.speech.sound import read_samples

    stop = first_test_frame(dataset.n_frames)
    if seconds is not None:
        stop = min(stop, round(seconds * dataset.fps))
    samples = read_samples(dataset.audio_path)[: round(stop * AUDIO_RATE / dataset.fps)]
    motion = dataset.motion[:stop]
    motion = motion.replace(valid=motion.valid & ~dataset.foreign_sound[:stop])
    segments = tuple(Segment(s.start, min(s.stop, stop), s.source) for s in dataset.segments if s.start < stop)
    if abs(dataset.fps - VIDEO_FPS) > 1e-6 or motion.valid.sum() < MIN_FRAMES:
        raise UserError(
            f"dataset {dataset.root}",
            expected=f"at least {MIN_FRAMES} training frames with a face at {VIDEO_FPS:g} fps",
            got=f"{int(motion.valid.sum())} at {dataset.fps:g} fps",
            remedy="Use a longer clip in which the face is seen.",
        )
    return TrainingClip(samples, motion, segments)


def make_utterance(clip: TrainingClip, codes: Float[np.ndarray, "T K"], features: SpeechFeatures) -> Utterance:
    """The recording as it is."""
    return _utterance(clip, codes, features, clip.samples, 1.0)


def augmented_utterances(
    clip: TrainingClip, codes: Float[np.ndarray, "T K"], features: SpeechFeatures, config: AugmentConfig, seed: int
) -> list[Utterance]:
    """Augmented copies."""
    rng = np.random.default_rng(seed)
    copies = [augmented(clip.samples, config, rng) for _ in range(config.copies)]
    return [_utterance(clip, codes, features, copy.samples, copy.speed) for copy in copies]


def _utterance(
    clip: TrainingClip, codes: np.ndarray, features: SpeechFeatures, samples: np.ndarray, speed: float
) -> Utterance:
    rows = encode(features, samples)
    count = min(int(len(codes) / speed), len(rows) // ROWS_PER_FRAME)
    at = np.minimum(np.arange(count) * speed, len(codes) - 1.0)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, len(codes) - 1)
    runs = [(int(np.ceil(s.start / speed)), int((s.stop - 1) / speed) + 1) for s in clip.segments]
    runs = tuple((a, min(b, count)) for a, b in runs if min(b, count) > a)
    share = (at - low)[:, None]
    usable = clip.motion.valid[low] & clip.motion.valid[high]
    return Utterance(rows, (1 - share) * codes[low] + share * codes[high], usable, runs)
