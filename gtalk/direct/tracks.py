"""The tracks of a score: what can be directed, in which range and unit. The one place where a track is declared.

A track is made of channels, each a number over time. Most have one channel of the same name. `region.brows` is how far
the brows are asked for at all, `region.brows|sad` how sad.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from gtalk.errors import UserError
from gtalk.rig.expression import OWN, REGIONS, names, recipes, single_shape
from gtalk.rig.shapes import SHAPES

Value = float | int | str


@dataclass(frozen=True)
class Track:
    """What is known of a track."""

    name: str
    """In a score. A family is named `emotion.*`."""
    says: str
    """What its value means."""
    low: float | int = 0
    high: float | int = 1
    neutral: float | int = 0
    """The value without any event."""
    usual: float | int | None = None
    """Where an event says no value."""
    unit: str = ""
    kind: str = "level"
    """level: held from start to end. swing: `times` movements there and back between them. key: an instant.
    words: a level whose value is text. place: where the eyes and then the head turn to, see `gtalk.direct.gaze`."""


TRACKS = (
    Track("emotion.*", "a named expression, by its intensity; `emotion.own.laugh` is the person's own", usual=0.7),
    Track("region.*", "another expression for brows, eyes, cheeks or mouth alone: `sad:0.8`", kind="words"),
    Track("shape.*", "a single shape of the face: mouthSmileLeft, browInnerUp", usual=0.7),
    Track("gaze.yaw", "where the eyes turn, towards the image's right", -35, 35, usual=12, unit="deg"),
    Track("gaze.pitch", "where the eyes turn, up", -30, 30, usual=-18, unit="deg"),
    Track("gaze.held", "how far the eyes keep still on the camera, or on where they are asked to look", usual=0.9),
    Track("attend.yaw", "where eyes, then head turn, right in the image", -90, 90, usual=20, unit="deg", kind="place"),
    Track("attend.pitch", "how high it is above the camera", -45, 45, usual=0, unit="deg", kind="place"),
    Track("head.turn", "the head turned towards the image's right", -45, 45, usual=10, unit="deg"),
    Track("head.raise", "the chin up", -30, 30, usual=6, unit="deg"),
    Track("head.tilt", "the head tilted, clockwise in the image", -30, 30, usual=7, unit="deg"),
    Track("head.lean", "the head towards the camera", -8, 8, usual=2, unit="cm"),
    Track("head.still", "how far the head's own sway is held", usual=0.9),
    Track("head.nod", "nods, by how deep", 0, 30, usual=8, unit="deg", kind="swing"),
    Track("head.shake", "shakes, by how wide to either side", 0, 35, usual=9, unit="deg", kind="swing"),
    Track("blink", "blinks, by how far the lids shut", usual=1, kind="swing"),
    Track("blink.natural", "how far the person's own blinks shut", neutral=1, usual=0),
    Track("articulation.jaw", "how far speech opens the jaw, a factor", 0, 2, 1, usual=1.4),
    Track("articulation.lips", "how far speech moves the lips, a factor", 0, 2, 1, usual=1.4),
    Track("look.light", "how much brighter the film is, stops", -1, 1, usual=0.3),
    Track("look.warmth", "how much warmer its light is", -1, 1, usual=0.5),
    Track("look.closer", "how much nearer the view comes: 1 is half as near again", usual=0.5),
    Track("key.open", "lips at an instant: 0 shut, 1 the person's widest", -0.5, 1.5, usual=1, kind="key"),
    Track("key.wide", "mouth's width at an instant: -1 narrowest, 1 widest", -1.5, 1.5, usual=1, kind="key"),
    Track("key.round", "lips pushed forward at an instant: -1 to 1", -1.5, 1.5, usual=1, kind="key"),
    Track("key.frame", "the mouth of another motion at an instant: `other.motion.npz@1.48`", kind="key"),
)  # fmt: skip
_BY_NAME = {track.name: track for track in TRACKS}
_HELD = 0.9  # of the eyes, while they look somewhere: a tenth of their wandering stays
MOST_TIMES = 20
"""Movements of one swing."""
_OWN_NAME = re.compile(re.escape(OWN) + r"\w[\w -]{0,58}")
_PART = re.compile(r"\s*((?:own\.)?[A-Za-z][\w -]*?)\s*(?::\s*([0-9.eE+-]+)\s*)?")


def track_of(name: str) -> Track:
    """The track of that name. Raises UserError for an unknown one, with the nearest known ones."""
    if name in _BY_NAME and not name.endswith("*"):
        return _BY_NAME[name]
    family, _, member = name.partition(".")
    if f"{family}.*" in _BY_NAME:
        known = _members(family)
        if member in known or (family == "emotion" and _OWN_NAME.fullmatch(member)):
            return _BY_NAME[f"{family}.*"]
        raise _unknown(name, [f"{family}.{one}" for one in known])
    raise _unknown(name, every_track())


@lru_cache(maxsize=1)
def every_track() -> tuple[str, ...]:
    """Names of all tracks, members of families one by one."""
    out: list[str] = []
    for track in TRACKS:
        family = track.name.removesuffix(".*")
        out += [f"{family}.{one}" for one in _members(family)] if track.name.endswith("*") else [track.name]
    return tuple(out)


def checked_value(name: str, value: object) -> Value:
    """A value of the track, or its usual one for None. Raises UserError when it is none."""
    track = track_of(name)
    if track.kind == "words" or name == "key.frame":
        if not isinstance(value, str) or not value.strip():
            raise _wrong(name, "text", value, track.says)
        if track.kind == "words":
            _region_parts(name, value)
        return value
    value = track.usual if value is None else value
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not track.low <= float(value) <= track.high:  # type: ignore[arg-type]
        unit = f" {track.unit}" if track.unit else ""
        raise _wrong(name, f"a number from {track.low:g} to {track.high:g}{unit}", value, f"It is {track.says}.")
    return float(value)  # type: ignore[arg-type]


def channels_of(name: str, value: Value) -> tuple[tuple[str, float], ...]:
    """(channel, number) that a checked value asks for."""
    if isinstance(value, str):
        return ((name, 1.0), *((f"{name}|{part}", number) for part, number in _region_parts(name, value)))
    if name in ("gaze.yaw", "gaze.pitch"):
        return ((name, value), ("gaze.held", _HELD))
    return ((name, value),)


def _region_parts(name: str, text: str) -> list[tuple[str, float]]:
    out: list[tuple[str, float]] = []
    aliases = {alias: key for key, recipe in recipes().items() for alias in recipe.aliases}
    for part in text.split("+"):
        found = _PART.fullmatch(part)
        key = None if found is None else aliases.get(found[1].lower(), found[1].lower())
        try:
            number = float(found[2]) if found is not None and found[2] else 1.0
        except ValueError:
            number = math.nan
        known = key in recipes() or bool(key and _OWN_NAME.fullmatch(key))
        if not known or not 0.0 <= number <= 1.0:
            near = difflib.get_close_matches(str(key), names(), n=2, cutoff=0.5)
            remedy = f"Did you mean {' or '.join(near)}?" if near and not known else "Write `sad:0.8`."
            raise UserError(name, expected="named expressions with intensities from 0 to 1, joined by `+`",
                            got=repr(part.strip()[:60]), remedy=remedy)  # fmt: skip
        out.append((str(key), number))
    return out


@lru_cache(maxsize=4)
def _members(family: str) -> tuple[str, ...]:
    if family == "emotion":
        return tuple(name for name in names() if name != "neutral")
    if family == "region":
        return REGIONS
    pairs = {n.removesuffix("Left") for n in SHAPES if n.endswith("Left") and n.replace("Left", "Right") in SHAPES}
    both = sorted(pairs - {"jaw", "mouth"} - set(SHAPES))
    return (*SHAPES, *both)


def shape_weights(name: str) -> dict[str, float]:
    """SHAPES that the track `shape.NAME` moves at 1, by name."""
    return dict(single_shape(name.removeprefix("shape."), 1.0).weights)


def _unknown(name: str, known: Iterable[str]) -> UserError:
    known = list(known)
    lower = {one.lower(): one for one in known}
    near = [lower[k] for k in difflib.get_close_matches(name.lower(), list(lower), n=3, cutoff=0.5)]
    listed = known if len(known) <= 12 else [track.name for track in TRACKS]
    return UserError(
        f"track {name[:60]!r}", expected=f"one of {', '.join(listed)}", got="an unknown one",
        remedy=f"Did you mean {' or '.join(near)}?" if near else "Choose one of these.",
    )  # fmt: skip


def _wrong(name: str, expected: str, value: object, remedy: str) -> UserError:
    return UserError(f"value of {name}", expected=expected, got=repr(value)[:60], remedy=remedy)
