"""Where one sound gives way to the next, more finely than Kokoro tells: its durations are whole numbers of 25 ms.

The borders of a lesson are moved, each by REACH rows at most, to where the ears of the generation before hear what is
said best (Viterbi, all borders at once): forced alignment.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gtalk.shapes import Float
from gtalk.speech.student import LAG_ROWS, VISEMES, Student
from tools.make.ears.spectra import Lesson, mel_rows, voice_mean

REACH = 4
_SHORTEST = 3  # rows of a sound
_COST = 0.3  # of a row's move, in nats


def realigned(lesson: Lesson, student: Student) -> Lesson:
    """The lesson with its borders moved."""
    power = np.expm1(lesson.power.astype(np.float32))
    mel = mel_rows(power, voice_mean(power, lesson.viseme > 0))
    late = np.concatenate([mel, np.repeat(mel[-1:], LAG_ROWS + 1, 0)]).astype(np.float32)
    heard = student.stream().push(late)[LAG_ROWS + 1 :, : len(VISEMES)]
    old = np.concatenate([[0], np.flatnonzero(np.diff(lesson.viseme)) + 1, [len(lesson.viseme)]])
    new = moved(old, lesson.viseme[old[:-1]], heard)
    at = np.interp(np.arange(len(lesson.viseme)) + 0.5, new, old).astype(int)
    return replace(lesson, viseme=lesson.viseme[at], letter=lesson.letter[at])


def moved(
    edges: Float[np.ndarray, " E"], kinds: Float[np.ndarray, " S"], heard: Float[np.ndarray, "T 13"]
) -> Float[np.ndarray, " E"]:
    """Edges of S = E - 1 stretches of visemes, moved to the greatest sum of log-posteriors; the ends stay."""
    total = np.concatenate([np.zeros((1, heard.shape[1])), np.cumsum(heard, 0)])
    offsets = np.arange(-REACH, REACH + 1)
    allowed = np.zeros((len(edges), len(offsets)), bool)
    allowed[1:-1], allowed[[0, -1], REACH] = True, True
    score, came = np.where(allowed[0], 0.0, -np.inf), []
    for i, kind in enumerate(kinds):
        start, stop = (np.clip(edges[j] + offsets, 0, len(heard)) for j in (i, i + 1))
        gain = total[stop, kind][None] - total[start, kind][:, None] - _COST * np.abs(offsets)[None]
        least = min(_SHORTEST, edges[i + 1] - edges[i])
        gain[(stop[None] - start[:, None] < least) | ~allowed[i + 1][None]] = -np.inf
        whole = score[:, None] + gain
        came.append(whole.argmax(0))
        score = whole.max(0)
    best = [REACH]
    for back in came[:0:-1]:
        best.append(int(back[best[-1]]))
    return edges + offsets[np.array([REACH, *best[::-1]])]
