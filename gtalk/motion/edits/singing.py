"""A mouth that sings: vowels held through notes, higher ones wider, vibrato in the jaw, a breath before phrases.

Planned on the motion of the whole song, since a note is held as it is in its middle; then each frame is moved by what
the plan says, whatever the frames are cut into.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtalk.basis import MOUTH_GROUP, mouth_aperture
from gtalk.geometry.easing import smoothstep
from gtalk.shapes import Float
from gtalk.types import Motion

_EASE_S = 0.08  # between the mouth as it speaks and the held one
_OF_WIDE, _WIDE_QUANTILE = 0.3, 0.95  # a sung vowel opens at least so far, of what this song opens at all
_A_SEMITONE = 0.04  # wider, a semitone above the song's middle
_MOST_WIDER = 1.5
_VIBRATO_M, _MOST_VIBRATO_M = 0.0012, 0.0008  # of the opening, a semitone of vibrato; at most
_BREATH_S, _BREATH_M, _PHRASE_S = 0.3, 0.003, 0.5


@dataclass(frozen=True)
class SungMouth:
    """How a song moves the mouth, beside what its motion does."""

    moves: Float[np.ndarray, "T 37 3"]
    """Of MOUTH_GROUP, metres; at the motion's own rate."""

    def __call__(self, motion: Motion, start_frame: int = 0) -> Motion:
        """A MotionEdit."""
        mine = self.moves[start_frame : start_frame + len(motion)]
        if not mine.any():
            return motion
        landmarks = motion.landmarks.copy()
        landmarks[: len(mine), MOUTH_GROUP] += mine
        return motion.replace(landmarks=landmarks)


def plan_singing(
    motion: Motion,
    spans_s: Float[np.ndarray, "N 2"],
    pitches: Float[np.ndarray, " N"],
    vibrato: Float[np.ndarray, " R"],
    rate_hz: float | int,
) -> SungMouth:
    """The plan of a song.

    Args:
        motion: of the whole song, as speech would have it.
        spans_s: notes, in the order of time.
        pitches: of the notes, semitones.
        vibrato: semitones about the notes, at `rate_hz`.
    """
    mouth = motion.landmarks[:, MOUTH_GROUP]
    opening = mouth_aperture(motion.landmarks)
    opens = opening - opening.mean()
    # What goes with a metre of this mouth's opening, over the song.
    per_m = np.einsum("t,tpc->pc", opens, mouth - mouth.mean(0)) / max(float(opens @ opens), 1e-9)
    least_m = _OF_WIDE * float(np.quantile(opening, _WIDE_QUANTILE))
    time_s = np.arange(len(motion)) / motion.fps
    moves = np.zeros(mouth.shape)
    middle = float(np.median(pitches)) if len(pitches) else 0.0
    before_s = -np.inf
    for (start_s, end_s), pitch in zip(spans_s, pitches, strict=True):
        ease_s = min(_EASE_S, (end_s - start_s) / 3)
        share = smoothstep(0.0, ease_s, time_s - start_s) * smoothstep(0.0, ease_s, end_s - time_s)
        inside = np.flatnonzero(share >= 1.0)
        if not len(inside):
            continue
        held, held_m = np.median(mouth[inside], axis=0), float(np.median(opening[inside]))
        wanted_m = max(held_m, least_m) * float(np.clip(1.0 + _A_SEMITONE * (pitch - middle), 0.6, _MOST_WIDER))
        trembles = np.interp(time_s, np.arange(len(vibrato)) / rate_hz, vibrato)
        trembles_m = np.clip(_VIBRATO_M * trembles, -_MOST_VIBRATO_M, _MOST_VIBRATO_M)
        target = held + (wanted_m - held_m + trembles_m)[:, None, None] * per_m
        moves += share[:, None, None] * (target - mouth - moves)
        if start_s - before_s > _PHRASE_S and start_s > _BREATH_S:
            at = (time_s - (start_s - _BREATH_S)) / _BREATH_S
            breath_m = _BREATH_M * smoothstep(0.0, 0.5, at) * smoothstep(1.3, 0.7, at)
            free = np.maximum(0.0, breath_m - np.maximum(0.0, opening - np.quantile(opening, 0.05)))
            moves += ((1.0 - share) * free)[:, None, None] * per_m
        before_s = end_s
    return SungMouth(moves)
