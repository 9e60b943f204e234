"""What is said when: the words of a recording with their times."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from gtalk.errors import UserError
from gtalk.files import write_json
from gtalk.reading.untrusted import read_json

MOST_WORDS = 20_000
_MOST_LETTERS = 60


@dataclass(frozen=True)
class Word:
    """One word, in seconds since the sound began."""

    text: str
    start_s: float
    end_s: float

    @property
    def middle_s(self) -> float:
        """Halfway through it."""
        return 0.5 * (self.start_s + self.end_s)


@dataclass(frozen=True)
class Words:
    """The words of one recording, in order."""

    words: tuple[Word, ...] = ()

    def __iter__(self) -> Iterator[Word]:
        return iter(self.words)

    def __len__(self) -> int:
        return len(self.words)

    @property
    def text(self) -> str:
        """What is said."""
        return " ".join(word.text for word in self.words)

    def find(self, what: str) -> Word:
        """The stretch of a word or of several in a row; `again#2` is the second time that it is said.

        Raises UserError for words that are not said, with the nearest that are.
        """
        phrase, _, number = what.partition("#")
        wanted = [plain(part) for part in phrase.split() if plain(part)]
        said = [plain(word.text) for word in self.words]
        starts = [i for i in range(len(said) - len(wanted) + 1) if said[i : i + len(wanted)] == wanted]
        which = int(number) if number.isdigit() else 1
        if not wanted or not 1 <= which <= len(starts):
            raise self._not_said(what, wanted, len(starts))
        first = starts[which - 1]
        last = first + len(wanted) - 1
        return Word(phrase.strip(), self.words[first].start_s, self.words[last].end_s)

    def _not_said(self, what: str, wanted: Sequence[str], times: int) -> UserError:
        import difflib

        if times:
            return UserError(f"word {what!r}", expected=f"at most the {times}. time that it is said", got=what,
                             remedy=f"Write a number from 1 to {times} behind #.")  # fmt: skip
        said = list(dict.fromkeys(plain(word.text) for word in self.words))
        near = difflib.get_close_matches(" ".join(wanted), said, n=3, cutoff=0.5)
        got = f"{len(self.words)} words, none of them it: {self.text[:120]}" if self.words else "no words"
        remedy = f"Did you mean {' or '.join(near)}?" if near else "Give the text or the words of the speech."
        return UserError(f"word {what[:60]!r}", expected="a word that is said", got=got, remedy=remedy)

    @staticmethod
    def of(entries: Any, where: str = "words") -> Words:
        """From plain values: [text, start, end] or {"word" | "text": .., "start": .., "end": ..} each, or under a
        key `words`. Raises UserError for anything else, and for times that run backwards.
        """
        if isinstance(entries, dict) and "words" in entries:
            entries = entries["words"]
        if not isinstance(entries, list) or len(entries) > MOST_WORDS:
            what = f"{len(entries)} entries" if isinstance(entries, list) else type(entries).__name__
            raise _wrong(where, f"a list of at most {MOST_WORDS} words", what)
        words = tuple(_word(entry, f"{where}[{i}]") for i, entry in enumerate(entries))
        for i, (before, after) in enumerate(pairwise(words)):
            if after.start_s < before.start_s:
                raise _wrong(
                    f"{where}[{i + 1}]", "words in the order in which they are said", f"{after} after {before}"
                )
        return Words(words)

    @staticmethod
    def load(path: Path) -> Words:
        """Read a JSON file of words. Raises UserError when it is none."""
        try:
            entries = read_json(Path(path), 16_000_000)
        except (OSError, ValueError) as error:
            raise _wrong(f"words {path}", "a readable JSON file", f"{type(error).__name__}: {error}") from error
        return Words.of(entries, f"words {path}")

    def save(self, path: Path) -> None:
        """Write JSON that `load` reads."""
        write_json(Path(path), {"words": self.plain()})

    def plain(self) -> list[list[Any]]:
        """[text, start, end] each."""
        return [[word.text, round(word.start_s, 3), round(word.end_s, 3)] for word in self.words]


NO_WORDS = Words()


def plain(word: str) -> str:
    """A word as it is compared: small letters and digits of any script."""
    return re.sub(r"[\W_]", "", word.lower())


def _word(entry: Any, where: str) -> Word:
    if isinstance(entry, dict):
        entry = [entry.get("word", entry.get("text")), entry.get("start"), entry.get("end")]
    if not isinstance(entry, list) or len(entry) != 3:
        raise _wrong(where, "[text, start, end]", repr(entry)[:80])
    text, *times = entry
    if not isinstance(text, str) or not text.strip() or len(text) > _MOST_LETTERS:
        raise _wrong(where, f"a word of 1 to {_MOST_LETTERS} letters", repr(text)[:80])
    numbers = all(isinstance(t, (int, float)) and not isinstance(t, bool) and math.isfinite(t) for t in times)
    if not numbers or not 0.0 <= times[0] <= times[1] <= 1e6:
        raise _wrong(where, "a start and an end in seconds, in this order", repr(times)[:80])
    return Word(text.strip(), float(times[0]), float(times[1]))


def _wrong(where: str, expected: str, got: str) -> UserError:
    return UserError(where, expected=expected, got=got, remedy='Write for example [["hello", 0.31, 0.72]].')
