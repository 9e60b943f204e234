"""A score: what a face is asked to do and when. The file `.score.yaml`, its checks, its words.

    version: 1
    words: [[hello, 0.31, 0.72], [finally, 1.20, 1.71]]      # optional: what is said when
    events:
      - {track: emotion.happy, value: 0.7, start: 1.0, end: 2.5}
      - {track: head.nod, value: 8, times: 2, at: finally}   # pinned to a word

A level is in full force from `start` to `end` and eases in before and out after them; without `end` it lasts.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gtalk.direct.tracks import MOST_TIMES, Value, checked_value, track_of
from gtalk.errors import UserError
from gtalk.files import atomic_path
from gtalk.reading.plain_yaml import parse_yaml
from gtalk.reading.untrusted import read_text
from gtalk.speech.words import NO_WORDS, Words

SCORE_VERSION = 1
MOST_EVENTS = 10_000
MOST_BYTES = 4_000_000
EASE_S = 0.6
"""A whole range within it changes by a tenth a frame at most, at 25 frames a second."""
LATEST_S, LONGEST_EASE_S, MOST_WEIGHT = 1e6, 60.0, 10.0
KEYS_APART_S = 0.04
"""Keys of one track that are closer contradict each other or say the same twice."""
SWING_S = 0.55
"""How long one movement of a swing takes where no end is said."""
_BLINK_S = 0.4
_KEYS = ("track", "value", "start", "end", "at", "lasts", "times", "ease", "ease_in", "ease_out", "weight", "by")


@dataclass(frozen=True)
class Event:
    """One thing that is asked for. Raises UserError for what no track means."""

    track: str
    """By name: `emotion.happy`, `gaze.pitch`, `head.nod`, ... see `gtalk.direct.tracks`."""
    value: Value | None = None
    """In the track's unit; None is its usual value."""
    start_s: float = 0.0
    end_s: float = math.inf
    ease_in_s: float = EASE_S
    """Before the start."""
    ease_out_s: float = EASE_S
    """After the end."""
    weight: float = 1.0
    """0 is as if the event were not there; events of one track share a sum of weights above 1."""
    times: int = 1
    """Movements of a swing between start and end."""
    by: str = ""
    """Who asked."""
    at: str = ""
    """The word that it is pinned to."""

    def __post_init__(self) -> None:
        track = track_of(self.track)
        object.__setattr__(self, "value", checked_value(self.track, self.value))
        if track.kind == "key" or (track.kind == "swing" and not math.isfinite(self.end_s)):
            one_s = _BLINK_S if self.track == "blink" else SWING_S
            length_s = 0.0 if track.kind == "key" else one_s * self.times
            object.__setattr__(self, "end_s", self.start_s + length_s)
        where = f"event {self.track}"
        _check(where, "start", self.start_s, 0.0, LATEST_S, " s")
        if not self.start_s <= self.end_s or math.isnan(self.end_s):
            raise _wrong(f"end of {where}", f"one from its start, {self.start_s:g} s, on", f"{self.end_s:g} s")
        for name in ("ease_in_s", "ease_out_s"):
            _check(where, name.removesuffix("_s"), getattr(self, name), 0.0, LONGEST_EASE_S, " s")
        _check(where, "weight", self.weight, 0.0, MOST_WEIGHT)
        _check(where, "times", float(self.times), 1.0, float(MOST_TIMES))

    @property
    def length_s(self) -> float:
        """From start to end."""
        return self.end_s - self.start_s

    def plain(self) -> dict[str, Any]:
        """As it is written; what says nothing is left out."""
        out: dict[str, Any] = {"track": self.track, "value": self.value}
        if self.at:
            out["at"] = self.at
        else:
            out["start"] = round(self.start_s, 3)
            if math.isfinite(self.end_s) and self.end_s > self.start_s:
                out["end"] = round(self.end_s, 3)
        for name, value, usual in (
            ("times", self.times, 1), ("ease_in", self.ease_in_s, EASE_S), ("ease_out", self.ease_out_s, EASE_S),
            ("weight", self.weight, 1.0), ("by", self.by, ""),
        ):  # fmt: skip
            if value != usual:
                out[name] = value
        return out


@dataclass(frozen=True)
class Score:
    """All that is asked for, in any order. Raises UserError for keys that contradict each other and too many events."""

    events: tuple[Event, ...] = ()
    words: Words = NO_WORDS

    def __post_init__(self) -> None:
        if len(self.events) > MOST_EVENTS:
            raise _wrong("score", f"at most {MOST_EVENTS} events", str(len(self.events)))
        last: dict[str, Event] = {}
        for event in sorted((e for e in self.events if e.track.startswith("key.")), key=lambda e: e.start_s):
            before = last.get(event.track)
            if before is not None and event.start_s - before.start_s < KEYS_APART_S:
                raise _wrong(
                    f"keys of {event.track}", f"keys at least {KEYS_APART_S:g} s apart",
                    f"{before.value} at {before.start_s:.3f} s and {event.value} at {event.start_s:.3f} s",
                )  # fmt: skip
            last[event.track] = event

    def check_length(self, duration_s: float, what: str = "score") -> None:
        """Raise UserError for an event that lies outside a sound of that length."""
        for event in self.events:
            end_s = event.end_s if math.isfinite(event.end_s) else event.start_s
            if max(event.start_s, end_s) > duration_s + 0.1:
                raise UserError(
                    f"{what}: event {event.track}", expected=f"a span within the {duration_s:.2f} s of the sound",
                    got=f"{event.start_s:g} to {event.end_s:g} s", remedy="Move it, or leave its end out.",
                )  # fmt: skip

    def plus(self, events: Iterable[Event]) -> Score:
        """With more events. Raises UserError as a score does."""
        return dataclasses.replace(self, events=(*self.events, *events))

    def later(self, by_s: float, duration_s: float) -> Score:
        """For a speech of that length that begins so much later."""
        return Score(
            tuple(
                dataclasses.replace(e, start_s=e.start_s + by_s, end_s=min(e.end_s, duration_s) + by_s, at="")
                for e in self.events
                if e.start_s < duration_s
            )
        )

    def save(self, path: Path) -> None:
        """Write `.score.yaml`: whole or not at all."""
        with atomic_path(Path(path)) as temporary:
            temporary.write_text(self.text(), encoding="utf-8")

    def text(self) -> str:
        """The file's content, one event a line."""
        lines = [f"version: {SCORE_VERSION}"]
        if len(self.words):
            lines.append(f"words: {_flow(self.words.plain())}")
        lines.append("events:" if self.events else "events: []")
        lines += [f"  - {_flow(event.plain())}" for event in self.events]
        return "\n".join(lines) + "\n"

    @staticmethod
    def load(path: Path) -> Score:
        """Read a `.score.yaml`. Raises UserError with the entry at fault."""
        path = Path(path)
        try:
            text = read_text(path, MOST_BYTES)
        except (OSError, ValueError) as error:
            raise UserError(f"score {path}", expected="a readable .score.yaml",
                            got=getattr(error, "strerror", None) or str(error),
                            remedy="Check the path; `gtalk score` writes one.") from error  # fmt: skip
        return Score.parse(text, f"score {path}")

    @staticmethod
    def parse(text: str, where: str = "score") -> Score:
        """The score of a file's text. Raises UserError with the entry at fault."""
        try:
            content = parse_yaml(text)
        except ValueError as error:
            raise _wrong(where, "YAML", str(error)) from error
        return Score.of(content, where)

    @staticmethod
    def of(content: Any, where: str = "score") -> Score:
        """From plain values as in the file. Raises UserError with the entry at fault."""
        if not isinstance(content, Mapping):
            raise _wrong(where, "a mapping with `version` and `events`", type(content).__name__)
        _known(content, ("version", "words", "events"), where)
        version = content.get("version")
        if version != SCORE_VERSION or isinstance(version, bool):
            raise _wrong(where, f"version: {SCORE_VERSION}", f"version {str(version)[:20]}")
        entries = content.get("events") or []
        if not isinstance(entries, list) or len(entries) > MOST_EVENTS:
            got = f"{len(entries)}" if isinstance(entries, list) else type(entries).__name__
            raise _wrong(where, f"a list of at most {MOST_EVENTS} events", got)
        words = Words.of(content.get("words") or [], f"{where}: words")
        return Score(tuple(_event(entry, words, f"{where}: events[{i}]") for i, entry in enumerate(entries)), words)


def _event(entry: Any, words: Words, where: str) -> Event:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("track"), str):
        raise _wrong(where, "{track: emotion.happy, value: 0.7, start: 1.0, end: 2.5}", repr(entry)[:80])
    _known(entry, _KEYS, where)
    at = entry.get("at", "")
    if not isinstance(at, str) or not isinstance(entry.get("by", ""), str):
        raise _wrong(where, "words behind `at` and `by`", repr(entry)[:80])
    if at and ("start" in entry or "end" in entry):
        raise _wrong(where, "either `at` (with `lasts`) or `start` and `end`", "both")
    number = {name: _number(entry, name, where) for name in _KEYS if name not in ("track", "value", "at", "by")}
    times = number["times"]
    if times is not None and times != int(times):
        raise _wrong(f"{where}: times", "a whole number", f"{times:g}")
    ease = number["ease"] if number["ease"] is not None else EASE_S
    start, end = number["start"] or 0.0, number["end"]
    if end is None:
        end = math.inf if number["lasts"] is None else start + number["lasts"]
    try:
        event = Event(
            entry["track"], entry.get("value"), start, end,
            ease if number["ease_in"] is None else number["ease_in"],
            ease if number["ease_out"] is None else number["ease_out"],
            1.0 if number["weight"] is None else number["weight"], 1 if times is None else int(times),
            str(entry.get("by", "")), at,
        )  # fmt: skip
        return _pinned(event, words, number["lasts"]) if at else event
    except UserError as error:
        raise UserError(f"{where}: {error.what}", expected=error.expected, got=error.got,
                        remedy=error.remedy) from None  # fmt: skip


def _pinned(event: Event, words: Words, lasts_s: float | None = None) -> Event:
    """The event at the word that it is pinned to: a swing peaks in its middle, a level spans it."""
    word, kind = words.find(event.at), track_of(event.track).kind
    if kind == "key":
        return dataclasses.replace(event, start_s=word.middle_s)
    if kind == "swing":
        one_s = _BLINK_S if event.track == "blink" else SWING_S
        length_s = one_s * event.times if lasts_s is None else lasts_s
        start_s = max(0.0, word.middle_s - 0.5 * length_s / event.times)
        return dataclasses.replace(event, start_s=start_s, end_s=start_s + length_s)
    end_s = word.end_s if lasts_s is None else word.start_s + lasts_s
    return dataclasses.replace(event, start_s=word.start_s, end_s=max(end_s, word.start_s))


def _number(entry: Mapping[str, Any], name: str, where: str) -> float | None:
    value = entry.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise _wrong(f"{where}: {name}", "a number", repr(value)[:60])
    return float(value)


def _known(entry: Mapping[Any, Any], keys: Iterable[str], where: str) -> None:
    for key in entry:
        if key not in keys:
            near = difflib.get_close_matches(str(key), list(keys), n=1, cutoff=0.4)
            raise UserError(
                f"{where}: {str(key)[:60]}", expected=f"one of: {', '.join(keys)}", got="an unknown key",
                remedy=f"Did you mean `{near[0]}`?" if near else "Remove it.",
            )  # fmt: skip


def _flow(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10**9, sort_keys=False, allow_unicode=True).strip()


def _check(where: str, name: str, value: float, low: float, high: float, unit: str = "") -> None:
    if not low <= value <= high:
        raise _wrong(f"{name} of {where}", f"{low:g} to {high:g}{unit}", f"{value:g}")


def _wrong(where: str, expected: str, got: str) -> UserError:
    return UserError(where, expected=expected, got=got, remedy="Mend the entry; docs/guides/direction.md shows how.")
