"""What a voice says: sound, and when each word and phone of it is heard."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from gtalk.shapes import Float
from gtalk.speech.known_phones import KnownPhones
from gtalk.speech.words import NO_WORDS, Word, Words
from gtalk.types import AUDIO_RATE

QUIET = 0.02
"""Of the loudest: what is below it before the first and after the last word is no speech."""


@dataclass(frozen=True)
class Utterance:
    """A text that was said."""

    text: str
    samples: Float[np.ndarray, " N"]
    """Mono at AUDIO_RATE."""
    words: Words = NO_WORDS
    """One for each that stands between spaces in `text`."""
    phones: KnownPhones | None = None
    """None where the voice does not tell."""

    @property
    def duration_s(self) -> float:
        """How long it is."""
        return len(self.samples) / AUDIO_RATE


@runtime_checkable
class Voice(Protocol):
    """Says texts."""

    def say(self, text: str) -> Utterance:
        """Speech of a text. Raises UserError when it cannot be said."""
        ...


def joined(parts: Sequence[Utterance]) -> Utterance:
    """One after the other."""
    words: list[Word] = []
    visemes, starts, ends = list[str](), list[float](), list[float]()
    begin_s, known = 0.0, all(part.phones is not None for part in parts)
    for part in parts:
        words += [Word(word.text, word.start_s + begin_s, word.end_s + begin_s) for word in part.words]
        if part.phones is not None:
            visemes += part.phones.visemes
            starts += [time_s + begin_s for time_s in part.phones.starts_s]
            ends += [time_s + begin_s for time_s in part.phones.ends_s]
        begin_s += part.duration_s
    samples = np.concatenate([part.samples for part in parts]) if parts else np.zeros(0, np.float32)
    phones = KnownPhones(tuple(visemes), tuple(starts), tuple(ends)) if known and parts else None
    return Utterance(" ".join(part.text for part in parts), samples, Words(tuple(words)), phones)


def words_at(text: str, starts: Sequence[tuple[int, float]], end_s: float) -> Words:
    """Words of a text from when what begins at some places of it is heard.

    Args:
        starts: (place in the text, seconds); a word without one takes its share of the time around it.
        end_s: when the last word ends.
    """
    spans = [match.span() for match in re.finditer(r"\S+", text)]
    places = np.array([place for place, _ in starts], float)
    times_s = np.array([time_s for _, time_s in starts], float)
    if not len(places):
        return NO_WORDS
    begun: list[float] = []
    for first, last in spans:
        own = np.flatnonzero((places >= first) & (places < last))
        begun.append(float(times_s[own[0]]) if len(own) else float(np.interp(first, places, times_s)))
    begins = np.minimum(np.maximum.accumulate(begun), end_s)
    ends = [*begins[1:].tolist(), end_s]
    timed = zip(spans, begins.tolist(), ends, strict=True)
    return Words(tuple(Word(text[a:b], start_s, stop_s) for (a, b), start_s, stop_s in timed))


def words_by_length(text: str, samples: Float[np.ndarray, " N"]) -> Words:
    """Words of a voice that does not tell: each takes the time of its letters, between first and last sound.

    An estimate, a few tenths of a second off in long texts.
    """
    loud = np.flatnonzero(np.abs(samples) > QUIET * np.abs(samples).max(initial=1e-9))
    if not len(loud) or not text.split():
        return NO_WORDS
    first_s, last_s = float(loud[0]) / AUDIO_RATE, float(loud[-1]) / AUDIO_RATE
    spans = [match.span() for match in re.finditer(r"\S+", text)]
    share = (last_s - first_s) / max(1, len(text))
    return words_at(text, [(a, first_s + share * a) for a, _ in spans], last_s)
