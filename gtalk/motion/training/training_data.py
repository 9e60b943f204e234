"""Clips of one person, ready to learn from: features, basis, targets, augmented copies, a held-back block."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np

from gtalk.basis import MotionBasis
from gtalk.dataset.split import person_basis
from gtalk.errors import UserError
from gtalk.motion.model.net import ROWS_PER_FRAME
from gtalk.motion.training.augment import AugmentConfig
from gtalk.motion.training.sequences import TrainingClip, Utterance, augmented_utterances, make_utterance
from gtalk.progress import OnProgress, Progress, silent
from gtalk.shapes import Bool, Float
from gtalk.speech.features import SpeechFeatures
from gtalk.types import Motion

GUARD_FRAMES = 12  # between training and validation frames: more than half a syllable


@dataclass(frozen=True)
class TrainingData:
    """Clips of one person, ready to learn from."""

    clips: list[TrainingClip]
    features: SpeechFeatures
    """They expect this person's voice."""
    basis: MotionBasis
    motion: Motion
    """Of all clips."""
    brow_mean: Float[np.ndarray, " 2"]
    brow_scale: Float[np.ndarray, " 2"]
    utterances: list[Utterance] = field(default_factory=list)
    """One for each clip."""
    copies: list[Utterance] = field(default_factory=list)
    """Augmented ones."""

    @property
    def activity_column(self) -> int:
        """Of a row: how surely it is speech."""
        return self.features.groups["energy"].start + 1

    def columns(self, group: str) -> range:
        """Columns of a group of features. Raises UserError for a name that is none."""
        groups = self.features.groups
        if group not in groups:
            raise UserError("without", expected=f"some of {', '.join(groups)}", got=group, remedy="Correct it.")
        return range(groups[group].start, groups[group].stop)

    def silent_frames(self) -> Bool[np.ndarray, " T"]:
        """Frames of `motion` in which nothing is said, nor just before and after."""
        activity = [
            utterance.rows[np.minimum(np.arange(len(clip.motion)) * ROWS_PER_FRAME, len(utterance.rows) - 1)]
            for clip, utterance in zip(self.clips, self.utterances, strict=True)
        ]
        quiet = np.concatenate(activity)[:, self.activity_column] < 0.15
        return np.convolve(quiet, np.ones(7), mode="same") >= 7


def gather(
    clips: list[TrainingClip],
    features: SpeechFeatures,
    augment: AugmentConfig,
    seed: int,
    on_progress: OnProgress = silent,
    take: Motion | None = None,
) -> TrainingData:
    """Features, basis, targets and augmented copies of clips of one person; `features` are adapted to the voice.

    `take`: an expression take's motion in the clips' head space, which the basis has to hold too.
    """
    on_progress(Progress("motion features", 0, len(clips) * (1 + augment.copies)))
    features = features.adapted(np.concatenate([clip.samples for clip in clips]))
    motion = Motion.concatenate([clip.motion for clip in clips])
    basis = person_basis([clip.motion for clip in clips], take)
    brows = motion.brows[motion.valid]
    data = TrainingData(clips, features, basis, motion, brows.mean(0), brows.std(0) + 1e-6)
    data.utterances.extend(make_utterance(clip, _codes(data, clip), features) for clip in clips)
    data.copies.extend(_copies(data, augment, seed, on_progress))
    return data


def _codes(data: TrainingData, clip: TrainingClip) -> np.ndarray:
    mouth = data.basis.encode(clip.motion)[:, data.basis.groups["mouth"]]
    return np.concatenate([mouth, (clip.motion.brows - data.brow_mean) / data.brow_scale], axis=1)


def _copies(data: TrainingData, augment: AugmentConfig, seed: int, on_progress: OnProgress) -> list[Utterance]:
    copies: list[Utterance] = []
    total = len(data.clips) * (1 + augment.copies)
    one = dataclasses.replace(augment, copies=1)
    for index, clip in enumerate(data.clips):
        for number in range(augment.copies):
            own = seed * 10007 + index * 101 + number
            copies += augmented_utterances(clip, _codes(data, clip), data.features, one, own)
            on_progress(Progress("motion features", len(copies) + index + 1, total))
    return copies


def split_utterances(utterances: list[Utterance], share: float) -> tuple[list[Utterance], list[Utterance]]:
    """(takes without the validation block and its guard, takes with nothing but the block)."""
    if share <= 0:
        return utterances, []
    training, validation = [], []
    for utterance in utterances:
        count = len(utterance.codes)
        start = int(count * (0.5 - share / 2))
        stop = int(count * (0.5 + share / 2))
        frame = np.arange(count)
        near = (frame >= start - GUARD_FRAMES) & (frame < stop + GUARD_FRAMES)
        training.append(dataclasses.replace(utterance, usable=utterance.usable & ~near))
        validation.append(dataclasses.replace(utterance, usable=utterance.usable & (frame >= start) & (frame < stop)))
    return training, validation
