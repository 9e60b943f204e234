"""What a director knows of the speech: how long it is, and what is said when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gtalk.speech.words import NO_WORDS, Word, Words


@dataclass(frozen=True)
class Speech:
    """A recording that is to be directed."""

    duration_s: float
    words: Words = NO_WORDS

    def sentences(self) -> Iterator[Word]:
        """Stretches that end with a full stop, a question mark or an exclamation mark; the last may have none."""
        begun: list[Word] = []
        for word in self.words:
            begun.append(word)
            if word.text.rstrip("\"'”’)").endswith((".", "?", "!", "…", "。", "？", "！")):
                yield _joined(begun)
                begun = []
        if begun:
            yield _joined(begun)

    def questions(self) -> list[Word]:
        """Sentences that ask."""
        return [one for one in self.sentences() if one.text.rstrip("\"'”’)").endswith(("?", "？"))]


def _joined(words: list[Word]) -> Word:
    return Word(" ".join(word.text for word in words), words[0].start_s, words[-1].end_s)
