"""The words of instructions: expressions and their synonyms, degrees, counts; and what is near a wrong word."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from gtalk.rig.expression import recipes

NEUTRAL = "neutral"
_PATH = Path(__file__).with_name("lexicon.yaml")


@dataclass(frozen=True)
class Lexicon:
    """All words that an instruction may use, but for those of time and of the body, which are patterns."""

    expressions: Mapping[str, str]
    """Word or phrase -> named expression; `neutral` for calm words."""
    degrees: Mapping[str, float]
    times: Mapping[str, int]
    numbers: Mapping[str, float]
    slow: frozenset[str]
    quick: frozenset[str]
    filler: frozenset[str]
    good: frozenset[str]
    bad: frozenset[str]
    """Words of a speech that tell how it is meant, as `good` does."""

    def near(self, word: str) -> list[str]:
        """Known words that look like an unknown one, nearest first."""
        known = [*self.expressions, *self.degrees, *BODY_WORDS]
        return difflib.get_close_matches(word, known, n=3, cutoff=0.6)


BODY_WORDS = (
    "nod", "shake", "tilt", "turn", "lean", "still", "blink", "chin", "camera", "left", "right",
    "down", "clearly", "mumble",
)  # fmt: skip
"""Of the patterns of the grammar, for suggestions."""


@lru_cache(maxsize=1)
def lexicon() -> Lexicon:
    """The package's."""
    content = yaml.safe_load(_PATH.read_text(encoding="utf-8"))
    expressions = dict.fromkeys(content["neutral"], NEUTRAL)
    for name, recipe in recipes().items():
        if name != NEUTRAL:
            expressions |= dict.fromkeys((name, *recipe.aliases), name)
    for name, words in content["expressions"].items():
        expressions |= {" ".join(word.split()): name for word in words}
    degrees = {" ".join(w.split()): float(share) for share, words in content["degrees"].items() for w in words}
    sets = (frozenset(content[name]) for name in ("slow", "quick", "filler", "good", "bad"))
    numbers = {word: float(number) for word, number in content["numbers"].items()}
    return Lexicon(expressions, degrees, content["times"], numbers, *sets)


@lru_cache(maxsize=8)
def phrases(of: str) -> re.Pattern[str]:
    """Finds the longest word or phrase of one part of the lexicon: `expressions`, `degrees` or `times`."""
    words = sorted(getattr(lexicon(), of), key=len, reverse=True)
    return re.compile(r"(?<![\w'])(" + "|".join(re.escape(word) for word in words) + r")(?![\w'])")
