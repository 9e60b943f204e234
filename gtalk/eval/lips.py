"""What the motion model makes of held-out sound, against what the speaker's face really did."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from gtalk.basis import LIPS, MOUTH_GROUP
from gtalk.dataset.format import Dataset
from gtalk.dataset.split import first_test_frame
from gtalk.eval import motion as measures
from gtalk.eval.frames import Truth
from gtalk.media.audio import read_wav
from gtalk.shapes import Float
from gtalk.talk import Talker
from gtalk.types import AUDIO_RATE, Motion

_LEAD_S = 5.0  # sound before the held-out part that the model hears first, as it would when speaking on
_ENOUGH_S = 30.0  # of speech, to find the lag between mouth and sound
_STRETCH_S, _MOST_STRETCHES = 2.0, 8


@dataclass(frozen=True)
class HeldOut:
    """The end of a clip that no trainer saw: its sound and its tracked motion."""

    first: int
    """Number of its first frame."""
    truth: Motion
    """Frames at which a segment begins are marked invalid: no movement leads there."""
    samples: Float[np.ndarray, " N"]
    lead: Float[np.ndarray, " M"]
    """Sound before it, a whole number of frames."""
    mean_mouth: Float[np.ndarray, "68 3"]
    """Mean landmarks of the training frames."""


def held_out(dataset: Dataset) -> HeldOut:
    """Cut the held-out part out of a dataset."""
    first = first_test_frame(dataset.n_frames)
    sound = read_wav(dataset.audio_path).samples
    valid = dataset.motion.valid.copy()
    valid[[s.start for s in dataset.segments if s.start > first]] = False
    truth = dataset.motion.replace(valid=valid)[first:]
    training = dataset.motion[:first]
    seen = training.landmarks[training.valid] if training.valid.any() else training.landmarks
    per_frame = AUDIO_RATE / dataset.fps
    border = round(first * per_frame)
    lead_frames = min(first, round(_LEAD_S * dataset.fps))
    lead = sound[round((first - lead_frames) * per_frame) : border]
    return HeldOut(first, truth, sound[border : border + round(len(truth) * per_frame)], lead, seen.mean(0))


def predict(talker: Talker, part: HeldOut) -> tuple[Motion, float]:
    """(motion from the held-out sound alone, one frame for each of the truth's; seconds it took)."""
    start_s = time.perf_counter()
    session = talker.session()
    wanted = len(part.truth)
    moments = session.advance(part.lead) + session.advance(part.samples)
    moments += session.end()
    taken_s = time.perf_counter() - start_s
    skip = round(len(part.lead) * talker.fps / AUDIO_RATE)
    moments = moments[skip : skip + wanted]
    moments += [moments[-1]] * (wanted - len(moments))  # a clip's sound may end a frame before its images
    return Motion.concatenate([moment.motion for moment in moments]), taken_s


def with_true_head(predicted: Motion, truth: Motion) -> Motion:
    """The predicted mouth on the true head: pose, eyes, brows and torso as tracked, as the peers' tests do."""
    landmarks = truth.landmarks.copy()
    landmarks[:, MOUTH_GROUP] = predicted.landmarks[:, MOUTH_GROUP]
    return truth.replace(landmarks=landmarks)


def audio_driven_row(predicted: Motion, part: HeldOut, truth: Truth) -> dict[str, float | None]:
    """The measures of audio-driven motion."""
    numbers = np.arange(part.first, part.first + len(part.truth))
    seen = part.truth.valid
    pixels = [truth.landmarks_px(motion, numbers)[seen][:, LIPS] for motion in (predicted, part.truth)]
    return cleaned(
        {
            "lmd_px": measures.lmd_px(*pixels),
            "lmd_norm": measures.lmd(predicted, part.truth),
            "lmd_ratio": measures.lmd_ratio(predicted, part.truth, part.mean_mouth),
            "aperture_corr": measures.aperture_correlation(predicted, part.truth),
            "av_offset_frames": measures.av_offset_frames(predicted, part.truth),
            "silence_leakage": measures.silence_leakage(predicted, part.samples, _still_m(part)),
            "jitter_ratio": measures.jitter_ratio(predicted, part.truth),
            "amplitude_ratio": measures.amplitude_ratio(predicted, part.truth),
            "sound_offset_frames": _sound_offset(predicted, part.samples),
        }
    )


def spread(predicted: Motion, truth: Motion, mean_mouth: Float[np.ndarray, "68 3"]) -> dict[str, Any]:
    """The same measures over consecutive stretches of two seconds or more: each one's values, so that luck shows."""
    count = min(_MOST_STRETCHES, int(len(truth) / truth.fps / _STRETCH_S))
    if count < 2:
        return {}
    ends = np.linspace(0, len(truth), count + 1).round().astype(int).tolist()
    parts = [(predicted[a:b], truth[a:b]) for a, b in pairwise(ends)]
    rows = [
        cleaned(
            {
                "lmd_norm": measures.lmd(made, true),
                "lmd_ratio": measures.lmd_ratio(made, true, mean_mouth),
                "aperture_corr": measures.aperture_correlation(made, true),
                "amplitude_ratio": measures.amplitude_ratio(made, true),
            }
        )
        for made, true in parts
    ]
    return {name: [row[name] for row in rows] for name in rows[0]}


def real_row(dataset: Dataset, part: HeldOut) -> dict[str, float | None]:
    """The same measures of the real video, where they mean something: the yardstick of every other row."""
    return cleaned(
        {
            "lmd_px": 0.0,
            "lmd_norm": 0.0,
            "lmd_ratio": 0.0,
            "aperture_corr": 1.0,
            "av_offset_frames": 0.0,
            "silence_leakage": measures.silence_leakage(part.truth, part.samples, _still_m(part)),
            "jitter_ratio": 1.0,
            "amplitude_ratio": 1.0,
            "sound_offset_frames": _sound_offset(dataset.motion, read_wav(dataset.audio_path).samples),
        }
    )


def _still_m(part: HeldOut) -> float:
    return measures.silent_speed_m(part.truth, part.samples)


def _sound_offset(motion: Motion, samples: np.ndarray) -> float:
    if len(motion) / motion.fps < _ENOUGH_S:
        return float("nan")
    return float(measures.av_offset_to_sound_frames(motion, samples))


def cleaned(row: dict[str, float]) -> dict[str, float | None]:
    """What could not be measured (NaN) is None, which JSON calls null."""
    return {name: float(value) if np.isfinite(value) else None for name, value in row.items()}
