"""The text of a model, as it comes, cut into clauses that can be said.

A clause ends with a sentence or a line; a long one at a comma, or at any space where none comes. Nothing is cut
within a [tag], a number (3.5, 1,000), or behind an abbreviation. How the text was cut into pieces on its way changes
nothing.
"""

from __future__ import annotations

import re

_ENDS, _CLOSERS = ".!?…", "\"'”’)»*_"
_CJK_ENDS, _CJK_COMMAS = "。！？；", "，、："
_COMMAS = ",;:—–"
_FIRST_LONG, _LONG = 24, 80
"""Letters from which a comma ends a clause; the first is awaited."""
_LONGEST, _UNBROKEN = 240, 400
"""Letters after which any space ends it, and after which anything does."""
_MOST_TAG = 82
_SHORT = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "st",
        "vs",
        "etc",
        "e.g",
        "i.e",
        "no",
        "fig",
        "approx",
        "z.b",
        "d.h",
        "bzw",
        "usw",
        "nr",
        "ca",
        "m",
        "mme",
        "mlle",
        "p.ej",
        "sig",
        "sra",
        "sr",
    ]
)
_MARKS = re.compile(r"[][*_`#~|<>]+")


class Clauses:
    """Takes pieces of a text and gives clauses."""

    def __init__(self) -> None:
        self._text = ""
        self._tag_at = -1  # where a tag was opened that is not closed yet
        self._n_spoken = 0  # letters outside of tags
        self._first = True

    def push(self, piece: str) -> list[str]:
        """Clauses that are now whole."""
        return [clause for letter in piece if (clause := self._letter(letter))]

    def end(self) -> str:
        """What is left: the last clause, tags alone, or nothing."""
        return self._cut() if self._text.strip() else ""

    def _letter(self, letter: str) -> str | None:
        before, self._text = self._text, self._text + letter
        if self._tag_at >= 0:
            if letter == "]" or len(self._text) - self._tag_at > _MOST_TAG:
                self._tag_at = -1
            return None
        if letter == "[":
            self._tag_at = len(before)
            return None
        self._n_spoken += letter.isalnum()
        return self._cut() if self._n_spoken and self._ends(before, letter) else None

    def _ends(self, before: str, letter: str) -> bool:
        long = len(self._text) >= (_FIRST_LONG if self._first else _LONG)
        if letter in _CJK_ENDS or letter == "\n" or len(self._text) >= _UNBROKEN:
            return True
        if letter in _CJK_COMMAS:
            return 3 * len(self._text) >= (_FIRST_LONG if self._first else _LONG)
        if not letter.isspace():
            return False
        bare = before.rstrip(_CLOSERS)
        if bare.endswith(tuple(_ENDS)):
            return not _is_short(bare)
        return len(self._text) >= _LONGEST or (long and bare.endswith(tuple(_COMMAS)))

    def _cut(self) -> str:
        clause, self._text = " ".join(self._text.split()), ""
        self._tag_at, self._n_spoken, self._first = -1, 0, False
        return clause


def _is_short(text: str) -> bool:
    """Whether the full stop behind it ends an abbreviation, an initial, or the number of a list."""
    if not text.endswith("."):
        return False
    words = text.split()
    word = words[-1].rstrip(".").lower().lstrip("([\"'„“»")
    return word in _SHORT or (len(word) == 1 and word.isalpha() and word != "i") or (len(words) == 1 and word.isdigit())


def speakable(text: str) -> str:
    """Without the marks of a marked-up text, which nobody pronounces."""
    return " ".join(_MARKS.sub(" ", text).split())
