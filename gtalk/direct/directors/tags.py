"""Tags in a text that is spoken: `[smile .6] Hello! [nod] I am [look down] so sorry. [/look]`

A tag says what an instruction would (`gtalk.direct.directors.acts`), with a number for how much or how often. What is
held begins with the word behind the tag and lasts until `[/]`, `[/smile]`, a tag of the same kind, or the end; a nod
or a blink is done at the word behind it, or the last word. What is in brackets and no tag is told, never spoken.
"""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass

from gtalk.direct.directors.acts import Act, acts_of
from gtalk.direct.directors.speech import Speech
from gtalk.direct.score import SWING_S, Event
from gtalk.direct.tracks import checked_value, track_of
from gtalk.errors import UserError

BY = "tag"
MOST_TAGS = 1000
_TAG = re.compile(r"\[([^\[\]]{0,80})\]")
_NUMBER = re.compile(r"\s(-?(?:\d+\.?\d*|\.\d+))\s*$")
_BLINK_S = 0.4


@dataclass(frozen=True)
class Tag:
    """A tag, and how many words of the plain text stand before it."""

    text: str
    words_before: int


def split_tags(text: str) -> tuple[str, list[Tag]]:
    """(what is spoken, tags in order). Raises UserError for too many tags."""
    spoken: list[str] = []
    tags: list[Tag] = []
    at = 0
    for found in _TAG.finditer(text):
        spoken.append(text[at : found.start()])
        tags.append(Tag(found[1].strip().lower(), len(" ".join(spoken).split())))
        at = found.end()
    spoken.append(text[at:])
    if len(tags) > MOST_TAGS:
        raise UserError("tags", expected=f"at most {MOST_TAGS}", got=str(len(tags)), remedy="Split the text.")
    return " ".join(" ".join(spoken).split()), tags


def check_tags(tags: list[Tag]) -> None:
    """Raise UserError for a tag that says nothing known."""
    for tag in tags:
        if not tag.text.startswith("/"):
            _acts(tag)


def events_of_tags(tags: list[Tag], speech: Speech) -> list[Event]:
    """What the tags ask for. `speech` has the words of the spoken text, one for each that stands between spaces.

    Raises UserError for a tag that says nothing known.
    """
    track = TagTrack()
    return track.take(tags, speech) + track.held(speech.duration_s)


class TagTrack:
    """The tags of a speech that comes clause by clause: what is held lasts into the clauses that follow."""

    def __init__(self) -> None:
        self._held: list[_Held] = []

    def take(self, tags: list[Tag], speech: Speech, begin_s: float = 0.0) -> list[Event]:
        """What the tags of the next clause, which begins at `begin_s`, have done or ended; see `events_of_tags`.

        Raises UserError for a tag that says nothing known.
        """
        out: list[Event] = []
        for tag in tags:
            at_s = begin_s + _time_of(tag, speech)
            if tag.text.startswith("/"):
                name = tag.text[1:].strip()
                over = [one for one in self._held if one.tag.startswith(name)]
            else:
                acts = _acts(tag)
                kinds = {_kind(act) for act in acts if not act.swings} or ({"emotion"} if not acts else set())
                over = [one for one in self._held if _kind(one.act) in kinds]
            out += [one.event(at_s) for one in over if at_s > one.since_s]
            self._held = [one for one in self._held if one not in over]
            if not tag.text.startswith("/"):
                swings = [event for act in acts if act.swings for event in _swing(act, tag, speech)]
                out += [dataclasses.replace(e, start_s=e.start_s + begin_s, end_s=e.end_s + begin_s) for e in swings]
                self._held += [_Held(act, at_s, tag.text) for act in acts if not act.swings]
        return out

    def held(self, until_s: float = math.inf) -> list[Event]:
        """What still lasts."""
        return [one.event(until_s) for one in self._held if until_s > one.since_s]

    def cut(self, now_s: float) -> None:
        """What was to begin later does not."""
        self._held = [one for one in self._held if one.since_s <= now_s]


@dataclass(frozen=True)
class _Held:
    """What lasts until it is ended."""

    act: Act
    since_s: float
    tag: str

    def event(self, end_s: float) -> Event:
        return Event(self.act.track, self.act.value, self.since_s, end_s, 0.4, 0.4, by=BY)


def _acts(tag: Tag) -> list[Act]:
    """Acts of a tag, its number in its place."""
    number = _NUMBER.search(" " + tag.text)
    name = tag.text if number is None else tag.text[: max(0, number.start() - 1) + 1].strip()
    try:
        acts, _ = acts_of(name.strip() or "?", None)
    except UserError as error:
        raise UserError(f"tag [{tag.text}]", expected=error.expected, got=error.got, remedy=error.remedy) from None
    if not acts and name not in ("neutral", "calm"):
        raise UserError(f"tag [{tag.text}]", expected="what an instruction may say, as [smile .6] or [nod 2]",
                        got="nothing of it", remedy="Mend it, or write the words without brackets.")  # fmt: skip
    if number is None:
        return acts
    return [_with_number(act, float(number[1])) for act in acts]


def _with_number(act: Act, number: float) -> Act:
    if act.swings and number == int(number) and 1 <= number <= 12:
        return Act(act.track, act.value, int(number), act.speed, act.verb)
    if isinstance(act.value, str):
        return Act(act.track, f"{act.value.partition(':')[0]}:{number:g}", act.times, act.speed, act.verb)
    low = track_of(act.track).low
    signed = -number if act.value is not None and float(act.value) < 0 <= number and low < 0 else number
    return Act(act.track, checked_value(act.track, signed), act.times, act.speed, act.verb)


def _time_of(tag: Tag, speech: Speech) -> float:
    words = speech.words.words
    return words[tag.words_before].start_s if tag.words_before < len(words) else speech.duration_s


def _swing(act: Act, tag: Tag, speech: Speech) -> list[Event]:
    words = speech.words.words
    if not words:
        return []
    at_s = words[min(tag.words_before, len(words) - 1)].middle_s
    one_s = _BLINK_S if act.track == "blink" else SWING_S
    start_s = min(max(0.0, at_s - 0.5 * one_s), max(0.0, speech.duration_s - one_s * act.times))
    return [
        Event(
            act.track, act.value, start_s, min(start_s + one_s * act.times, speech.duration_s), times=act.times, by=BY
        )
    ]


def _kind(act: Act) -> str:
    """emotion, gaze, head, region.brows ...: two of a kind do not go together."""
    return act.track if act.track.startswith(("region.", "shape.", "head.")) else act.track.split(".")[0]
