"""Who speaks when: turns, out of a sound's own pauses or an RTTM file."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gtalk.errors import UserError
from gtalk.reading.untrusted import read_text
from gtalk.shapes import Float
from gtalk.speech.base import RATE_HZ
from gtalk.speech.frontend import FrontEnd
from gtalk.speech.normalise import SpeechActivity

MOST_TURNS = 100_000
_SPEAKS = 0.5  # of speech activity
_JOIN_S, _LEAST_S, _LEAD_S = 0.35, 0.15, 0.05  # pauses that end no turn, sounds that are none, and what comes before
_MOST_BYTES = 16_000_000


@dataclass(frozen=True)
class Turn:
    """A stretch in which somebody speaks, seconds."""

    speaker: str
    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        """From start to end."""
        return self.end_s - self.start_s


def speech_spans(pieces: Iterable[Float[np.ndarray, " N"]], join_s: float = _JOIN_S) -> list[tuple[float, float]]:
    """(start, end) in seconds of what is spoken in mono sound at AUDIO_RATE; pauses shorter than `join_s` end none."""
    front, activity = FrontEnd(), SpeechActivity()
    rows = [activity(front.push(piece))[0] for piece in pieces]
    rows.append(activity(front.finish())[0])
    return spans_of(np.concatenate(rows) > _SPEAKS, join_s)


def spans_of(speaks: np.ndarray, join_s: float = _JOIN_S, lead_s: float = _LEAD_S) -> list[tuple[float, float]]:
    """(start, end) in seconds of the runs of a mask at RATE_HZ, which begin `lead_s` earlier."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], speaks.astype(np.int8), [0]]))).reshape(-1, 2) / RATE_HZ
    out: list[tuple[float, float]] = []
    for begin, end in edges.tolist():
        start = max(0.0, begin - lead_s)
        if out and start - out[-1][1] <= join_s:
            out[-1] = (out[-1][0], end)
        else:
            out.append((start, end))
    return [(start, end) for start, end in out if end - start >= _LEAST_S]


def read_rttm(path: Path) -> list[Turn]:
    """Turns of an RTTM file (NIST), in the order of time. Raises UserError with the line at fault."""
    path = Path(path)
    try:
        lines = read_text(path, _MOST_BYTES).splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"turns {path}", expected="a readable RTTM file", got=f"{type(error).__name__}: {error}",
                        remedy="Check the path.") from error  # fmt: skip
    out: list[Turn] = []
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words or words[0].startswith(";") or words[0] != "SPEAKER":
            continue
        try:
            start_s, length_s, speaker = float(words[3]), float(words[4]), words[7]
        except (IndexError, ValueError):
            start_s = length_s = math.nan
            speaker = ""
        if not (0.0 <= start_s < 1e6 and 0.0 <= length_s < 1e6) or len(out) >= MOST_TURNS:
            raise UserError(f"turns {path}, line {number}", expected="SPEAKER FILE CHANNEL START LENGTH <NA> <NA> NAME",
                            got=repr(line[:80]), remedy="Times are seconds; see the RTTM format of NIST.")  # fmt: skip
        out.append(Turn(speaker, start_s, start_s + length_s))
    if not out:
        raise UserError(f"turns {path}", expected="lines that begin with SPEAKER", got="none",
                        remedy="Give an RTTM file, or leave it out.")  # fmt: skip
    return sorted(out, key=lambda turn: (turn.start_s, turn.end_s, turn.speaker))


def without_overlap(turns: Sequence[Turn]) -> tuple[list[Turn], float]:
    """One speaker at a time: who begins later has the word. Also, for how many seconds several spoke."""
    edges = sorted({time_s for turn in turns for time_s in (turn.start_s, turn.end_s)})
    waiting = sorted(turns, key=lambda t: (t.start_s, -t.end_s))
    speaking: list[Turn] = []
    kept: list[Turn] = []
    for start_s, end_s in itertools.pairwise(edges):
        while waiting and waiting[0].start_s <= start_s:
            speaking.append(waiting.pop(0))
        speaking = [turn for turn in speaking if turn.end_s > start_s]
        if not speaking:
            continue
        who = speaking[-1].speaker
        if kept and kept[-1].speaker == who and kept[-1].end_s == start_s:
            kept[-1] = Turn(who, kept[-1].start_s, end_s)
        else:
            kept.append(Turn(who, start_s, end_s))
    return kept, math.fsum(t.length_s for t in turns) - math.fsum(t.length_s for t in kept)


class Errors(NamedTuple):
    """Parts of the diarisation error, each over all true speech."""

    missed: float
    """Speech that nobody is said to say; where several speak at once, those that are left out."""
    false: float
    confused: float
    """Said by another."""


def error_of(found: Sequence[Turn], truth: Sequence[Turn], duration_s: float, step_s: float = 0.01) -> float:
    """Diarisation error rate: missed, false and confused speech over all true speech, with the best naming.

    No collar; speech of several at once counts for each (NIST RT). Up to a handful of speakers.
    """
    return sum(errors_of(found, truth, duration_s, step_s))


def errors_of(found: Sequence[Turn], truth: Sequence[Turn], duration_s: float, step_s: float = 0.01) -> Errors:
    """The parts of `error_of`."""
    from itertools import permutations

    names, others = sorted({t.speaker for t in truth}), sorted({t.speaker for t in found})
    count = round(duration_s / step_s)
    is_true, is_found = (_mask(turns, who, count, step_s) for turns, who in ((truth, names), (found, others)))
    n_true, n_found = is_true.sum(0), is_found.sum(0)
    size = max(len(names), len(others))
    overlap = np.zeros((size, size))
    overlap[: len(names), : len(others)] = is_true.astype(float) @ is_found.T.astype(float)
    right = max(sum(overlap[i, j] for i, j in enumerate(order)) for order in permutations(range(size)))
    missed, false = (np.maximum(some, 0).sum() for some in (n_true - n_found, n_found - n_true))
    confused = np.minimum(n_true, n_found).sum() - right
    return Errors(*(float(part / max(n_true.sum(), 1)) for part in (missed, false, confused)))


def _mask(turns: Sequence[Turn], names: list[str], count: int, step_s: float) -> np.ndarray:
    out = np.zeros((len(names), count), bool)
    for turn in turns:
        out[names.index(turn.speaker), round(turn.start_s / step_s) : round(turn.end_s / step_s)] = True
    return out
