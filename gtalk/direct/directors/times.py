"""Words of time in an instruction: taken out of the text, each leaving a mark that says where it stood.

"smile at 'finally'" becomes "smile <0>", whose mark 0 is the span of that word.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from gtalk.direct.directors.lexicon import lexicon
from gtalk.direct.directors.speech import Speech
from gtalk.speech.words import Word, plain

AFTER_S = 0.8
"""A look at a word lasts so much beyond it."""
_ARTICLES = ("the", "a", "an", "this", "that", "every", "each")  # "at the end" is no word "the"
_EDGE = 0.2  # of the speech: its beginning and its end
_LEAST_EDGE_S = 1.0


@dataclass(frozen=True)
class Span:
    """Seconds. A moment is about one word: a look lingers after it, a nod peaks in its middle."""

    start_s: float
    end_s: float
    moment: bool = False
    word: str = ""
    """The words that it is pinned to, as `Words.find` takes them."""

    @property
    def middle_s(self) -> float:
        """Halfway."""
        return 0.5 * (self.start_s + self.end_s)


@dataclass
class Timed:
    """A text whose words of time are marks, and what the marks stand for."""

    text: str
    spans: list[Span] = field(default_factory=list)
    lasts: list[float] = field(default_factory=list)
    after_last: list[int] = field(default_factory=list)
    """Marks that mean "after the word that was named before"."""


def with_marks(text: str, speech: Speech) -> Timed:
    """The instruction in small letters with a mark `<i>` for each span, `<for i>` for each length.

    Raises UserError for a quoted word that is not said.
    """
    out = Timed(text)
    quoted: list[str] = []

    def keep(found: re.Match[str]) -> str:
        quoted.append(next(group for group in found.groups() if group is not None))
        return f"[{len(quoted) - 1}]"

    text = re.sub(r"[<>\[\]]", " ", text)  # of marks
    marked = re.sub(r"(?<!\w)'([^']+(?:'\w[^']*)*)'(?!\w)|\"([^\"]+)\"|‘([^’]+)’|“([^”]+)”", keep, text)
    marked = " ".join(re.sub(r"[’`]", "'", marked).lower().split())
    words = {plain(word.text) for word in speech.words}

    def bare(found: re.Match[str]) -> str:
        """An unquoted word behind `at` or `on` that is said and means nothing else."""
        if plain(found[2]) not in words or found[2] in lexicon().numbers or found[2] in _ARTICLES:
            return found[0]
        quoted.append(found[2])
        return f"{found[1]} [{len(quoted) - 1}]"

    marked = re.sub(
        r"\b(at|on|from|until|till|after|before|when (?:you|she|he|they|i) says?) ([a-z][\w']+)\b", bare, marked
    )
    for pattern, make in _PATTERNS:
        marked = re.sub(pattern, lambda found, make=make: make(found, out, quoted, speech), marked)
    for i, one in enumerate(quoted):  # a word alone in quotes is when it is said
        if f"[{i}]" in marked:
            marked = marked.replace(f"[{i}]", _mark(out, _at(_found(speech, one))))
    out.text = marked
    return out


def _found(speech: Speech, what: str) -> Word:
    return speech.words.find(what)


def _at(word: Word, moment: bool = True) -> Span:
    return Span(word.start_s, word.end_s, moment, word.text)


def _mark(out: Timed, span: Span) -> str:
    out.spans.append(span)
    return f" <{len(out.spans) - 1}> "


Make = Callable[[re.Match[str], Timed, list[str], Speech], str]


def _word(match: re.Match[str], out: Timed, quoted: list[str], speech: Speech) -> str:
    return _mark(out, _at(_found(speech, quoted[int(match[1])])))


def _whole_words(match: re.Match[str], out: Timed, quoted: list[str], speech: Speech) -> str:
    return _mark(out, _at(_found(speech, quoted[int(match[1])]), moment=False))


def _between(match: re.Match[str], out: Timed, quoted: list[str], speech: Speech) -> str:
    first, last = (_found(speech, quoted[int(match[i])]) for i in (1, 2))
    if last.end_s <= first.start_s:  # the first time that it is said after the other
        later = [w for w in speech.words if plain(w.text) == plain(last.text) and w.start_s > first.start_s]
        last = later[0] if later else last
    return _mark(out, Span(first.start_s, max(last.end_s, first.end_s)))


def _since(match: re.Match[str], out: Timed, quoted: list[str], speech: Speech) -> str:
    return _mark(out, Span(_found(speech, quoted[int(match[1])]).start_s, speech.duration_s))


def _after(match: re.Match[str], out: Timed, quoted: list[str], speech: Speech) -> str:
    return _mark(out, Span(_found(speech, quoted[int(match[1])]).end_s, speech.duration_s))


def _until(match: re.Match[str], out: Timed, quoted: list[str], speech: Speech) -> str:
    word = _found(speech, quoted[int(match[2])])
    return _mark(out, Span(0.0, word.start_s if match[1] == "before" else word.end_s))


def _after_it(match: re.Match[str], out: Timed, quoted: list[str], speech: Speech) -> str:
    mark = _mark(out, Span(0.0, speech.duration_s))
    out.after_last.append(len(out.spans) - 1)
    return mark


def _question(match: re.Match[str], out: Timed, quoted: list[str], speech: Speech) -> str:
    asked = speech.questions()
    if not asked:
        return _mark(out, _at(_found(speech, "?")))  # says that there is none
    return _mark(out, Span(asked[0].start_s, asked[-1].end_s if match[1] else asked[0].end_s))


def _number(text: str) -> float:
    return float(lexicon().numbers.get(text, 0.0)) or float(re.sub(r"[^0-9.]", "", text) or 0.0)


def _share(low: float, high: float) -> Make:
    def make(match: re.Match[str], out: Timed, quoted: list[str], speech: Speech) -> str:
        return _mark(out, Span(low * speech.duration_s, high * speech.duration_s))

    return make


def _edge(last: bool) -> Make:
    def make(match: re.Match[str], out: Timed, quoted: list[str], speech: Speech) -> str:
        whole = speech.duration_s
        length = min(whole, max(_EDGE * whole, _LEAST_EDGE_S))
        return _mark(out, Span(whole - length, whole) if last else Span(0.0, length))

    return make


def _first_seconds(match: re.Match[str], out: Timed, quoted: list[str], speech: Speech) -> str:
    length = min(_number(match[2]), speech.duration_s)
    return _mark(out, Span(0.0, length) if match[1] == "first" else Span(speech.duration_s - length, speech.duration_s))


def _seconds(match: re.Match[str], out: Timed, quoted: list[str], speech: Speech) -> str:
    first, last = sorted((_number(match[1]), _number(match[2])))
    return _mark(out, Span(first, last))


def _instant(match: re.Match[str], out: Timed, quoted: list[str], speech: Speech) -> str:
    at = _number(match[2])
    return _mark(out, Span(at, at, moment=True) if match[1] == "at" else Span(at, speech.duration_s))


def _length(match: re.Match[str], out: Timed, quoted: list[str], speech: Speech) -> str:
    out.lasts.append(_number(match[1]))
    return f" <for {len(out.lasts) - 1}> "


_N = r"(half a|\d+(?:\.\d+)?|a|one|two|three|four|five|six|seven|eight|nine|ten)"
_Q = r"\[(\d+)\]"
_SAYS = r"(?:(?:you|she|he|they|i|we)(?:'re)? (?:says?|saying) |saying |the words? )?"
_S = r"(?:s|secs?|seconds?)\b"
_PATTERNS: tuple[tuple[str, Make], ...] = (
    (rf"\b(?:between|from) {_SAYS}{_Q} (?:and|to|until|till|through) {_SAYS}{_Q}", _between),
    (rf"\b(?:from|since|starting (?:at|from|with)) {_SAYS}{_Q}(?: on(?:wards?)?)?", _since),
    (rf"\bafter {_SAYS}{_Q}", _after),
    (rf"\b(before|until|till|up to) {_SAYS}{_Q}", _until),
    (rf"\b(?:while|during) {_SAYS}{_Q}", _whole_words),
    (rf"\b(?:at|on|when|with|by|as|upon) {_SAYS}{_Q}", _word),
    (r"\b(?:during|at|on|in|with) (?:the|her|his|their|your) question(s?)\b", _question),
    (rf"\b(?:for|in|during|over) the (first|last) {_N} {_S}", _first_seconds),
    (rf"\b(?:between|from) {_N} (?:{_S} )?(?:and|to|until|till) {_N} {_S}", _seconds),
    (rf"\b(at|after|from) {_N} {_S}(?: on(?:wards?)?)?", _instant),
    (rf"\bfor (?:about )?{_N} {_S}", _length),
    (r"\b(?:at|in|near|towards?) the (?:very |absolute )?(?:end|close|finish)\b", _edge(True)),
    (r"\b(?:at|in|near) the (?:very )?(?:beginning|start|opening)\b", _edge(False)),
    (r"\b(?:in|during) the (?:first|1st) half\b", _share(0.0, 0.5)),
    (r"\b(?:in|during) the (?:second|2nd|last|other) half\b", _share(0.5, 1.0)),
    (r"\b(?:in|around|at|during) the (?:middle|centre|center)\b", _share(0.4, 0.6)),
    (r"\b(?:throughout|all the time|the (?:whole|entire) (?:time|way)|all along|always|constantly)\b",
     _share(0.0, 1.0)),
    (r"\b(?:after (?:it|that|this)|from then on)\b", _after_it),
)  # fmt: skip
