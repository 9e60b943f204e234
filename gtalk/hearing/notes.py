"""What of a sound is sung: notes, and whether it is singing at all.

A note is a stretch in which the pitch stays within half a semitone of its own running median, a fifth of a second or
longer; speech glides. What lies between 4 and 8 Hz about that median is vibrato.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from gtalk.shapes import Float
from gtalk.speech.base import RATE_HZ
from gtalk.speech.frontend import FrontEnd

SUNG = 0.45
"""Share of voiced time in notes from which on a sound counts as sung."""
_LEAST_S, _LEAST_SUNG_S = 0.2, 1.0
_VOICED, _LOUD_DB = 0.75, 30.0  # periodicity, and how far below the loudest
_STEADY_CENTS = 60.0
_MEDIAN = 31  # rows: longer than a turn of vibrato
_SPREAD, _SPREAD_CENTS, _LEAST_WINDOWS = 20, 35.0, 10  # rows in which a held pitch spreads by less


@dataclass(frozen=True)
class Note:
    """A stretch of one pitch."""

    start_s: float
    end_s: float
    pitch: float
    """Semitones above 1 Hz."""


@dataclass(frozen=True)
class Song:
    """What was heard of a melody."""

    notes: tuple[Note, ...]
    share: float
    """Of voiced time in which the pitch is held."""
    vibrato: Float[np.ndarray, " R"]
    """Semitones about the note's own pitch, at RATE_HZ; 0 outside notes."""

    @property
    def is_sung(self) -> bool:
        """Whether it is singing and no speech."""
        return self.share >= SUNG and sum(n.end_s - n.start_s for n in self.notes) >= _LEAST_SUNG_S


def heard_song(pieces: Iterable[Float[np.ndarray, " N"]]) -> Song:
    """Of a voice in mono sound at AUDIO_RATE."""
    front = FrontEnd()
    frames = [front.push(piece) for piece in pieces]
    frames.append(front.finish())
    f0, periodicity, level_db = (
        np.concatenate([getattr(frame, name) for frame in frames]) for name in ("f0_hz", "periodicity", "level_db")
    )
    voiced = (periodicity > _VOICED) & (level_db > level_db.max(initial=-200.0) - _LOUD_DB)
    pitch = np.where(voiced, 12.0 * np.log2(np.maximum(f0, 1.0)), np.nan)
    usual = _running_median(pitch, _MEDIAN)
    steady = voiced & (np.abs(pitch - usual) < _STEADY_CENTS / 100.0)
    # The pitch of a note stays where it is; that of a glide moves on although each moment is near its median.
    steady &= np.abs(np.gradient(np.nan_to_num(usual)) * RATE_HZ) < 6.0 if len(usual) > 1 else True
    notes, vibrato = [], np.zeros(len(pitch))
    for a, b in _runs(steady):
        cut = [a, *(a + 1 + np.flatnonzero(np.abs(np.diff(usual[a:b])) > 0.7)), b]
        for i, j in itertools.pairwise(cut):
            if (j - i) / RATE_HZ >= _LEAST_S:
                notes.append(Note(float(i / RATE_HZ), float(j / RATE_HZ), float(np.median(pitch[i:j]))))
                vibrato[i:j] = pitch[i:j] - usual[i:j]
    return Song(tuple(notes), _held_share(pitch, voiced), vibrato)


def _held_share(pitch: np.ndarray, voiced: np.ndarray) -> float:
    """Of voiced windows, those whose pitch spreads little."""
    held = whole = 0
    for start in range(0, len(pitch) - _SPREAD, _SPREAD // 2):
        if voiced[start : start + _SPREAD].all():
            whole += 1
            held += bool(100.0 * np.std(pitch[start : start + _SPREAD]) < _SPREAD_CENTS)
    return held / whole if whole >= _LEAST_WINDOWS else 0.0


def _running_median(values: Float[np.ndarray, " R"], width: int) -> Float[np.ndarray, " R"]:
    """Of what is no NaN; NaN where nothing is near."""
    padded = np.pad(values, width // 2, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, width)[: len(values)]
    empty = np.isnan(windows).all(1)
    out = np.full(len(values), np.nan)
    out[~empty] = np.nanmedian(windows[~empty], axis=1)
    return out


def _runs(mask: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))).reshape(-1, 2)
