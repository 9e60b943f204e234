"""Lyrics with times: what is sung when, as phones that the lips go by.

    [00:12.40] I walk alone                        LRC: a line, from then until the next
    [00:12.40] <00:12.40> I <00:12.71> walk ...    and its words, where they are timed
    1 / 00:00:12,400 --> 00:00:15,100 / I walk     SubRip

A word's consonants keep about the time that a voice that speaks takes for them; its vowels are held for the rest.
Words of a line that are not timed share its sung time by their vowels.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gtalk.errors import UserError
from gtalk.hearing.notes import Note
from gtalk.reading.untrusted import read_text
from gtalk.speech.known_phones import KnownPhones

_MOST_BYTES, _MOST_LINES, _MOST_WORDS = 1_000_000, 5000, 40
_CLOCK = r"(\d{1,3}):(\d{1,2}(?:[.,:]\d{1,3})?)"
_LINE = re.compile(rf"\s*((?:\[{_CLOCK}\]\s*)+)(.*)")
_STAMP, _WORD = re.compile(rf"\[{_CLOCK}\]"), re.compile(rf"<{_CLOCK}>")
_SPAN = re.compile(r"\s*(\d+):(\d+):(\d+[.,]\d+)\s*-->\s*(\d+):(\d+):(\d+[.,]\d+)")
_VOWELS = frozenset("uoaei@")
_LONGEST_LINE_S, _SPOKEN_WORD_S = 15.0, 0.6
_CONSONANTS = 0.5  # of a word's time at most


@dataclass(frozen=True)
class SungWord:
    """A word from when on it is sung."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class SungLine:
    """A line; its words have times of their own, or share its time."""

    text: str
    start_s: float
    end_s: float
    words: tuple[SungWord, ...] = ()


Pronounce = Callable[[str], KnownPhones]
"""The phones of a word as it is spoken, in seconds since its start."""


def read_lyrics(path: Path) -> list[SungLine]:
    """Lines of an .lrc or .srt file, in the order of time. Raises UserError for a file without any."""
    path = Path(path)
    try:
        text = read_text(path, _MOST_BYTES)
    except (OSError, ValueError) as error:
        raise _wrong(path, f"{type(error).__name__}: {error}") from error
    lines = _srt(text) if "-->" in text else _lrc(text)
    if not lines:
        raise _wrong(path, "none")
    if len(lines) > _MOST_LINES:
        raise _wrong(path, f"{len(lines)} lines")
    return lines


def phones_of(lines: Sequence[SungLine], notes: Sequence[Note], pronounce: Pronounce) -> KnownPhones:
    """What is sung when. `notes`: words without times lie where something is sung."""
    visemes, starts, ends = list[str](), list[float](), list[float]()
    for line in lines:
        for word in line.words or _shared(line, notes, pronounce):
            said = pronounce(word.text)
            edges = _held(said, word.start_s, word.end_s)
            visemes += said.visemes
            starts += edges[:-1].tolist()
            ends += edges[1:].tolist()
    order = np.argsort(starts, kind="stable")
    return KnownPhones(
        tuple(visemes[i] for i in order), tuple(starts[i] for i in order), tuple(ends[i] for i in order)
    )  # fmt: skip


def _held(said: KnownPhones, start_s: float, end_s: float) -> np.ndarray:
    """Edges of the phones in the word's time: consonants as long as spoken, vowels the rest."""
    lengths = np.maximum(np.subtract(said.ends_s, said.starts_s), 0.02)
    vowel = np.array([viseme in _VOWELS for viseme in said.visemes], bool)
    room_s = max(end_s - start_s, 0.02)
    if not len(lengths):
        return np.array([start_s])
    if vowel.any() and not vowel.all():
        most_s = _CONSONANTS * room_s
        lengths[~vowel] *= min(1.0, most_s / lengths[~vowel].sum())
        lengths[vowel] *= (room_s - lengths[~vowel].sum()) / lengths[vowel].sum()
    else:
        lengths *= room_s / lengths.sum()
    return start_s + np.concatenate([[0.0], np.cumsum(lengths)])


def _shared(line: SungLine, notes: Sequence[Note], pronounce: Pronounce) -> list[SungWord]:
    """The words of a line, by their vowels, over the time of the line in which notes are sung."""
    words = line.text.split()[:_MOST_WORDS]
    weights = np.array([max(1, sum(v in _VOWELS for v in pronounce(word).visemes)) for word in words], float)
    sung = [(max(n.start_s, line.start_s), min(n.end_s, line.end_s)) for n in notes]
    spans = [(a, b) for a, b in sung if b > a]
    if not spans:
        spans = [(line.start_s, min(line.end_s, line.start_s + _SPOKEN_WORD_S * len(words)))]
    # Time within the sung spans, laid out end to end: what lies between them is no one's.
    lengths = np.array([b - a for a, b in spans])
    before = np.concatenate([[0.0], np.cumsum(lengths)])
    cuts = before[-1] * np.concatenate([[0.0], np.cumsum(weights) / weights.sum()]) if words else np.zeros(1)

    def at(cut: float, begins: bool) -> float:
        side = "right" if begins else "left"
        k = int(np.clip(np.searchsorted(before, cut, side) - 1, 0, len(spans) - 1))
        return float(spans[k][0] + cut - before[k])

    return [SungWord(word, at(cuts[i], True), at(cuts[i + 1], False)) for i, word in enumerate(words)]


def _lrc(text: str) -> list[SungLine]:
    begun: list[tuple[float, str]] = []
    for raw in text.splitlines():
        if (found := _LINE.match(raw)) is not None:
            begun += [(_seconds(*stamp), found[4]) for stamp in _STAMP.findall(found[1])]
    begun.sort(key=lambda one: one[0])
    lines = []
    for i, (start_s, words) in enumerate(begun):
        end_s = begun[i + 1][0] if i + 1 < len(begun) else math.inf
        end_s = min(end_s, start_s + _LONGEST_LINE_S)
        plain = " ".join(_WORD.sub(" ", words).split())
        if plain and end_s > start_s:
            lines.append(SungLine(plain, start_s, end_s, _timed(words, end_s)))
    return lines


def _timed(words: str, end_s: float) -> tuple[SungWord, ...]:
    """Words with times of their own: <mm:ss.xx> before each."""
    parts = _WORD.split(words)  # text, minutes, seconds, text, ...
    stamps = [_seconds(*pair) for pair in zip(parts[1::3], parts[2::3], strict=True)]
    out = []
    for i, (start_s, text) in enumerate(zip(stamps, parts[3::3], strict=True)):
        stop_s = stamps[i + 1] if i + 1 < len(stamps) else min(end_s, start_s + 2.0)
        if text.strip() and stop_s > start_s:
            out.append(SungWord(text.strip(), start_s, stop_s))
    return tuple(out)


def _srt(text: str) -> list[SungLine]:
    lines = []
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        rows = block.strip().splitlines()
        at = next((i for i, row in enumerate(rows) if "-->" in row), None)
        found = None if at is None else _SPAN.match(rows[at])
        if at is None or found is None:
            continue
        times = [float(part.replace(",", ".")) for part in found.groups()]
        start_s, end_s = (3600 * h + 60 * m + s for h, m, s in (times[:3], times[3:]))
        plain = " ".join(" ".join(rows[at + 1 :]).split())
        if plain and start_s < end_s < 1e6:
            lines.append(SungLine(plain, start_s, end_s))
    return sorted(lines, key=lambda line: line.start_s)


def _seconds(minutes: str, seconds: str) -> float:
    whole, _, part = re.sub("[,:]", ".", seconds).partition(".")
    return 60.0 * int(minutes) + int(whole) + (float(f"0.{part}") if part else 0.0)


def _wrong(path: Path, got: str) -> UserError:
    return UserError(f"lyrics {path}", expected="lines with times: [00:12.40] words, or SubRip", got=got,
                     remedy="Give an .lrc or .srt file, or leave it out.")  # fmt: skip
