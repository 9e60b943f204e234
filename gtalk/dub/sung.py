"""A song dubbed: its notes, the mouth that holds them, brows and head that follow the melody."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from gtalk.direct.score import Event
from gtalk.hearing.notes import Note, Song
from gtalk.motion.base import EditFactory
from gtalk.motion.edits.singing import plan_singing
from gtalk.speech.base import RATE_HZ
from gtalk.types import Motion

BY = "song"
_BROWS_A_SEMITONE, _MOST_BROWS = 0.04, 0.3
_RAISE_A_SEMITONE_DEG, _MOST_RAISE_DEG, _BREATH_DEG = 0.35, 2.5, 1.0
_PHRASE_S, _BREATH_S = 0.5, 0.3


def events_of_song(notes: Sequence[Note]) -> list[Event]:
    """Brows and chin rise with the melody above its middle, and the chin before a phrase."""
    out: list[Event] = []
    middle = float(np.median([note.pitch for note in notes])) if notes else 0.0
    before_s = 0.0
    for note in notes:
        above, ease = note.pitch - middle, {"ease_in_s": 0.15, "ease_out_s": 0.3, "by": BY}
        if above > 0.5:
            brows = min(_MOST_BROWS, _BROWS_A_SEMITONE * above)
            chin = min(_MOST_RAISE_DEG, _RAISE_A_SEMITONE_DEG * above)
            out.append(Event("shape.browInnerUp", brows, note.start_s, note.end_s, **ease))
            out.append(Event("head.raise", chin, note.start_s, note.end_s, **ease))
        if note.start_s - before_s > _PHRASE_S:
            out.append(Event("head.raise", _BREATH_DEG, note.start_s - _BREATH_S, note.start_s, **ease))
        before_s = note.end_s
    return out


def singing(song: Song, motion_of: Callable[[Sequence[EditFactory]], Iterator[Motion]]) -> EditFactory:
    """The edit that makes a mouth sing; asks for the motion as speech would have it."""
    parts = list(motion_of(()))
    spans = np.array([(note.start_s, note.end_s) for note in song.notes], np.float64).reshape(-1, 2)
    pitches = np.array([note.pitch for note in song.notes], np.float64)
    plan = plan_singing(Motion.concatenate(parts), spans, pitches, song.vibrato, RATE_HZ)
    return lambda: plan
