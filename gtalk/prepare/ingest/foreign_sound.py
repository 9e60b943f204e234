"""Sound in a clip that is not its person's: another voice while the lips rest or say something else, music behind it.

Lips learned with it learn wrong, so such stretches are told and kept out of motion training. What lips do with
another's voice is nothing: their speed stays near that of silence while there is speech. What is behind a voice
shows in the pauses between words, which are then not quiet. A voice that was put in the place of the person's explains
nothing of what the lips do, where the person's own explains a third of it and more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from gtalk.prepare.ingest.av_offset import BLOCK, MOST_FRAMES, away_from_edges, explained_over_time, lip_codes
from gtalk.prepare.report.metrics import HOP_S, judge_sound, spans
from gtalk.shapes import Bool, Float
from gtalk.types import AUDIO_RATE

ANOTHER, BEHIND = "another voice", "music or noise behind the voice"
UNFIT = "a voice that says something else than the lips"
SHORTEST_S = {ANOTHER: 3.0, BEHIND: 4.0, UNFIT: 4.0}
"""Pauses in which one breathes or waits with closed lips last up to 2.3 s in real clips: those are no other voice."""
JOIN_S = 1.0  # stretches that are nearer belong together
SMOOTH_S = 1.2
RESTING = 0.3  # of the way from the lips' speed in silence to that in speech
SPEAKING_SHARE = 0.5  # of a stretch of SMOOTH_S: then somebody speaks in it
FLOOR_S, FLOOR_SHARE = 6.0, 10  # over which the quietest FLOOR_SHARE % of the sound are the floor
OVER_QUIET_DB, UNDER_VOICE_DB = 15.0, 26.0
EXPLAINED, UNEXPLAINED = 0.25, 0.05
"""Of the lips' movement: what a clip's sound must explain for this to be judged (short and silent ones do not), and
what a stretch explains that is not its person's. In three real clips no stretch explains less than 0.15."""
SHORTEST_S_OF_CLIP = 16.0
"""Less says too little about what the sound explains."""
MOST_SHARE = 0.5  # of a clip: more than that is how this clip is, and not a stretch of it


@dataclass(frozen=True)
class Stretch:
    """Frames [start, stop) with sound that is not the person's alone."""

    start: int
    stop: int
    what: str


def foreign_stretches(
    points_px: Float[np.ndarray, "T 478 2"],
    valid: Bool[np.ndarray, " T"],
    samples: Float[np.ndarray, " N"],
    fps: float,
    cuts: Sequence[int] = (),
) -> list[Stretch]:
    """In order of time; sound and lips must be in time with each other. Arguments as of `find_offset`."""
    if valid.sum() < 2 * fps or np.abs(samples).max(initial=0.0) < 1e-3:
        return []
    _, speech = judge_sound(samples)
    hop_of_frame = np.minimum((np.arange(len(valid)) / fps / HOP_S).astype(int), max(0, len(speech) - 1))
    if not len(speech) or not speech.any():
        return []
    found = {
        ANOTHER: _lips_rest(points_px, valid, _mean(speech[hop_of_frame].astype(float), fps), fps, cuts),
        BEHIND: _never_quiet(samples, speech)[hop_of_frame],
        UNFIT: _unexplained(points_px, valid, samples, fps, cuts),
    }
    stretches = []
    for what, flags in found.items():
        own = [span for span in _joined(spans(flags), fps) if span[1] - span[0] >= SHORTEST_S[what] * fps]
        if sum(b - a for a, b in own) <= MOST_SHARE * len(valid):
            # What the lips rest in does not fit them either: the first word for it is the better one.
            new = [span for span in own if not any(one.start < span[1] and span[0] < one.stop for one in stretches)]
            stretches += [Stretch(a, b, what) for a, b in new]
    return sorted(stretches, key=lambda one: one.start)


def _lips_rest(
    points_px: np.ndarray, valid: np.ndarray, speaking: np.ndarray, fps: float, cuts: Sequence[int]
) -> np.ndarray:
    """Frames in which somebody speaks and the lips that are seen do not."""
    usable = away_from_edges(valid, cuts)
    codes = lip_codes(points_px, valid, usable, cuts)
    speed = np.linalg.norm(np.diff(codes, axis=0, prepend=codes[:1]), axis=1)
    speed[~usable] = np.nan
    speed = _mean(np.where(np.isnan(speed), np.nanmedian(speed), speed), fps)
    in_speech = np.median(speed[usable & (speaking > SPEAKING_SHARE)]) if (speaking > SPEAKING_SHARE).any() else 0.0
    in_silence = float(np.percentile(speed[usable], 5))
    return usable & (speaking > SPEAKING_SHARE) & (speed < in_silence + RESTING * (in_speech - in_silence))


def _unexplained(
    points_px: np.ndarray, valid: np.ndarray, samples: np.ndarray, fps: float, cuts: Sequence[int]
) -> np.ndarray:
    """Frames of stretches whose lips the sound does not explain, in a clip where it does."""
    # In pieces of ten minutes, so that a long clip needs no more memory than they do.
    pieces = [slice(start, start + MOST_FRAMES) for start in range(0, len(valid), MOST_FRAMES)]
    flags = np.zeros(len(valid), bool)
    for piece in pieces:
        own, own_samples = valid[piece], samples[round(piece.start * AUDIO_RATE / fps) :]
        if own.sum() < SHORTEST_S_OF_CLIP * fps:
            continue
        inside = [cut - piece.start for cut in cuts if 0 < cut - piece.start < len(own)]
        explained = explained_over_time(points_px[piece], own, own_samples, fps, inside)
        if np.median(explained) >= EXPLAINED:
            low = np.repeat(explained < UNEXPLAINED, BLOCK)[: len(own)]
            flags[piece.start : piece.start + len(low)] = low
    return flags


def _never_quiet(samples: np.ndarray, speech: np.ndarray) -> np.ndarray:
    """Hops around which the sound never falls as low as it does elsewhere in the clip."""
    hop = round(HOP_S * AUDIO_RATE)
    power = (samples[: len(speech) * hop].reshape(len(speech), hop).astype(np.float64) ** 2).mean(1)
    level = 10 * np.log10(cv2.blur(power[:, None], (1, 5))[:, 0] + 1e-10)
    half, step = round(FLOOR_S / HOP_S / 2), round(0.5 / HOP_S)
    if len(level) < 4 * half:
        return np.zeros(len(level), bool)
    centres = np.arange(half, len(level) - half + 1, step)
    floor = np.array([np.percentile(level[c - half : c + half], FLOOR_SHARE) for c in centres])
    voice = 10 * np.log10(power[speech].mean() + 1e-10)
    loud = (floor > np.percentile(floor, 20) + OVER_QUIET_DB) & (floor > voice - UNDER_VOICE_DB)
    nearest = np.clip(np.rint((np.arange(len(level)) - half) / step).astype(int), 0, len(centres) - 1)
    return loud[nearest]


def _mean(values: np.ndarray, fps: float) -> np.ndarray:
    return cv2.blur(values[:, None].astype(np.float64), (1, round(SMOOTH_S * fps) | 1))[:, 0]


def _joined(found: list[tuple[int, int]], fps: float) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, stop in found:
        if joined and start - joined[-1][1] < JOIN_S * fps:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return joined
