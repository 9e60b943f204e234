"""What a clause without its times asks for: nods, looks, turns, expressions, how much, and whether it is forbidden."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from gtalk.direct.directors.lexicon import NEUTRAL, lexicon, phrases
from gtalk.direct.score import SWING_S
from gtalk.direct.tracks import Value, track_of
from gtalk.errors import UserError
from gtalk.rig.expression import OWN

_USUAL = 0.7
_LIVELY = "move"  # of the head: what "don't move" forbids
_NOT = re.compile(r"\b(?:don't|do not|does not|doesn't|never|without|stop|no|not|avoid|isn't|aren't|cannot|can't)\b")
_SIDES = {"left": -1.0, "right": 1.0, "up": 1.0, "upwards": 1.0, "down": -1.0, "downwards": -1.0}
_SIDE = r"(left|right|upwards?|downwards?|up|down)"
_REGIONS = {
    "brows": "brows",
    "eyebrows": "brows",
    "eyes": "eyes",
    "cheeks": "cheeks",
    "mouth": "mouth",
    "lips": "mouth",
}
_OWN = re.compile(rf"\b{re.escape(OWN)}\w[\w-]*")
REPAINT = re.compile(
    r"\b(?:wearing|wears?|crown|hat|glasses|beard|moustache|hair(?:cut|style)?|dress(?:ed)?|clothes|shirt|younger|older"
    r"|tattoo|make-?up|earrings?|necklace|scarf|zombie|anime|cartoon)\b"
)
"""What would repaint the person."""


@dataclass(frozen=True)
class Act:
    """One thing that a clause asks for, without its time."""

    track: str
    value: Value
    times: int = 1
    speed: str = ""
    """slow, quick or nothing, for swings."""
    verb: str = ""
    """gaze, turn or tilt: what a side alone would go on with."""

    @property
    def swings(self) -> bool:
        """Whether it is done a number of times and over."""
        return track_of(self.track).kind == "swing"

    @property
    def swing_s(self) -> float:
        """How long it takes; 0 for what is held."""
        return SWING_S * self.times if self.swings else 0.0


def acts_of(clause: str, before: Act | None) -> tuple[list[Act], list[str]]:
    """Acts of one clause, and notes. Raises UserError for a clause of which nothing is understood."""
    if found := REPAINT.search(clause):
        raise UserError(f"--say: {found[0]!r}", expected="manner: expression, gaze, head, lips",
                        got="what would repaint the person", remedy="Leave it out.")  # fmt: skip
    rest, share = _degree(clause)
    forbidden = bool(_NOT.search(rest)) and share is None
    rest = _NOT.sub(" ", rest)
    rest, times = _times(rest)
    rest, speed = _speed(rest)
    rest = " ".join(rest.split())
    acts: list[Act] = []
    for pattern, make in _BODY:
        while found := re.search(pattern, rest):
            acts += make(found, share, times, speed)
            rest = rest[: found.start()] + " " + rest[found.end() :]
    if (
        not acts
        and before is not None
        and before.verb
        and (found := re.fullmatch(rf"(?:to the )?{_SIDE}", rest.strip()))
    ):
        acts, rest = _to_a_side(before.verb, found[1], share), ""
    rest, more, calm = _expressions(rest, _USUAL if share is None else share)
    acts += more
    unknown = [w for w in re.findall(r"[^\W\d_][\w'-]*", rest) if w not in lexicon().filler]
    if forbidden:
        return _forbidden(clause, acts)
    acts = [act for act in acts if act.verb != _LIVELY]
    if unknown and not acts and not calm:
        raise _not_understood(clause, unknown)
    return acts, [f"not understood: {word!r}{_did_you_mean(word)}" for word in unknown]


def _degree(clause: str) -> tuple[str, float | None]:
    found = phrases("degrees").search(clause)
    if found is None:
        return clause, None
    # "broad smile" and "warm smile" are expressions of their own
    if any(
        one.start() <= found.start() and found.end() <= one.end() for one in phrases("expressions").finditer(clause)
    ):
        return clause, None
    return clause[: found.start()] + " " + clause[found.end() :], lexicon().degrees[found[1]]


def _times(rest: str) -> tuple[str, int]:
    if found := phrases("times").search(rest):
        return rest[: found.start()] + " " + rest[found.end() :], int(lexicon().times[found[1]])
    if found := re.search(r"\b(\d+) times\b|\b(two|three|four|five|six) (?=nods|shakes|blinks)", rest):
        number = int(found[1]) if found[1] else int(lexicon().numbers[found[2]])
        return rest[: found.start()] + " " + rest[found.end() :], min(max(number, 1), 12)
    return rest, 0


def _speed(rest: str) -> tuple[str, str]:
    for name in ("slow", "quick"):
        for word in getattr(lexicon(), name):
            if found := re.search(rf"\b{word}\b", rest):
                return rest[: found.start()] + " " + rest[found.end() :], name
    return rest, ""


def _usual(track: str, sign: float, share: float | None) -> float:
    """A track's usual value, more or less of it, within its range."""
    known = track_of(track)
    amount = 1.0 if share is None else share / _USUAL
    value = known.neutral + sign * abs((known.usual or 0.0) - known.neutral) * amount
    return float(min(max(value, known.low), known.high))


def _to_a_side(verb: str, side: str, share: float | None) -> list[Act]:
    sign = _SIDES[side]
    across, along = ("gaze.yaw", "gaze.pitch") if verb == "gaze" else (f"head.{verb}", "head.raise")
    track = across if side in ("left", "right") else along
    return [Act(track, _usual(track, sign, share), verb=verb)]


Make = Callable[[re.Match[str], float | None, int, str], list[Act]]


def _moves(track: str, default: int = 1) -> Make:
    def make(found: re.Match[str], share: float | None, times: int, speed: str) -> list[Act]:
        return [Act(track, _usual(track, 1.0, share), times or default, speed)]

    return make


def _side(verb: str) -> Make:
    def make(found: re.Match[str], share: float | None, times: int, speed: str) -> list[Act]:
        return _to_a_side(verb, found[1], share)

    return make


def _level(*asked: tuple[str, float]) -> Make:
    """(track, sign) each; sign 0 is the value 0."""

    def make(found: re.Match[str], share: float | None, times: int, speed: str) -> list[Act]:
        return [
            Act(track, _usual(track, sign, share) if sign else 0.0, verb="gaze" if track.startswith("gaze") else "")
            for track, sign in asked
        ]

    return make


def _regional(found: re.Match[str], share: float | None, times: int, speed: str) -> list[Act]:
    name = lexicon().expressions[found[1]]
    if name == NEUTRAL:
        return []
    return [Act(f"region.{_REGIONS[found[2]]}", f"{name}:{_USUAL if share is None else share:g}")]


_MY = r"(?:the |your |her |his |their |its )?"
_TO = r"(?:to the |to |towards the )?"
_CAMERA = r"(?:the |us |me )?(?:camera|lens|viewers?|audience|us|me|front|straight ahead)"
_LOOK = r"(?:looks?|looking|glances?|glancing|gazes?|gazing|stares?|staring|eyes)"
_TILT, _TURN = r"(?:tilts?|tilting|cocks?|inclines?)", r"(?:turns?|turning|rotates?)"
_RAISE, _LOWER = r"(?:raises?|lifts?|raising|lifting)", r"(?:lowers?|lowering|bows?|bowing|drops?|hangs?|hanging)"
_STAY = r"(?:keeps?|keeping|stays?|staying|holds?|holding|remains?|sits?|stands?)"
_SPEAK = r"(?:speaks?|speaking|talks?|articulates?|enunciates?|pronounces?)"
_BODY: tuple[tuple[str, Make], ...] = tuple(
    (r"\b(?:" + "|".join(ways) + r")\b", make)
    for ways, make in (
        ((r"(?:raises?|lifts?) (?:one|an) (?:eye)?brow",), lambda *_: [Act("emotion.doubtful", _USUAL)]),
        ((rf"(?:shakes?|shaking) {_MY}heads?", "head ?shakes?", "shakes? (?:of )?the head", "shakes?"),
         _moves("head.shake", 2)),
        ((rf"(?:nods?|nodding)(?: {_MY}head)?",), _moves("head.nod")),
        (("blinks?", "blinking"), _moves("blink")),
        ((rf"{_STAY} (?:{_MY}head )?(?:very |completely |perfectly )?(?:still|motionless|frozen)", "freezes?"),
         _level(("head.still", 1.0))),
        ((rf"(?:leans?|leaning|comes?|moves?|gets?) (?:in|closer|forwards?|nearer|towards? {_CAMERA})",),
         _level(("head.lean", 1.0))),
        (("closer", "close-? ?up", "zooms? in"), _level(("look.closer", 1.0))),
        (("brighter", "more light"), _level(("look.light", 1.0))),
        (("darker", "dim(?:mer)?", "less light"), _level(("look.light", -1.0))),
        (("warmer(?: light)?", "warm light"), _level(("look.warmth", 1.0))),
        (("cooler(?: light)?", "cold light", "colder"), _level(("look.warmth", -1.0))),
        (("(?:leans?|leaning|pulls?|moves?|draws?) (?:back|backwards?|away)",), _level(("head.lean", -1.0))),
        ((rf"mov(?:e|es|ing)(?: {_MY}head)?", "head movements?"), lambda *_: [Act("head.still", 0.0, verb=_LIVELY)]),
        ((rf"{_TILT} {_MY}(?:heads? )?{_TO}(left|right)",), _side("tilt")),
        ((rf"{_TILT} {_MY}heads?",), _level(("head.tilt", 1.0))),
        ((rf"{_LOOK} (?:back )?(?:straight |directly )?(?:at|to|towards?|into) {_CAMERA}",
          rf"(?:back )?(?:to|at) {_CAMERA}", "eye contact", "look straight ahead"),
         _level(("gaze.yaw", 0.0), ("gaze.pitch", 0.0))),
        ((rf"{_LOOK} (?:away |off |over )?{_TO}{_SIDE}",), _side("gaze")),
        (("(?:looks?|looking|glances?|gazes?) away",), _level(("gaze.yaw", 1.0))),
        ((rf"{_TURN} (?:away )?{_MY}(?:heads? |face )?(?:away )?{_TO}(left|right)",), _side("turn")),
        ((rf"{_TURN} {_MY}(?:head |face )?away",), _level(("head.turn", 1.0))),
        (("chin up", rf"{_RAISE} {_MY}(?:chin|head)", "head (?:up|held high|high)"), _level(("head.raise", 1.0))),
        (("chin down", rf"{_LOWER} {_MY}(?:chin|head)", "head (?:down|low)", "bows?"), _level(("head.raise", -1.0))),
        ((rf"(?:closes?|shuts?|closing|shutting) {_MY}eyes", "eyes (?:closed|shut)"),
         lambda *_: [Act("shape.eyeBlink", 1.0)]),
        ((rf"{_SPEAK}(?: more)? ?(?:clearly|distinctly|carefully)", "over-?articulates?",
          "articulates?", "enunciates?"),
         _level(("articulation.lips", 1.0), ("articulation.jaw", 1.0))),
        (("mumbles?", "mumbling", "mutters?", "muttering", "murmurs?", "slurs?"),
         _level(("articulation.lips", -1.0), ("articulation.jaw", -1.0))),
        ((rf"opens? {_MY}mouth(?: wider| wide| more)?", "mouth (?:more )?open", "louder lips"),
         _level(("articulation.jaw", 1.0))),
    )
)  # fmt: skip


def _expressions(rest: str, share: float) -> tuple[str, list[Act], bool]:
    """(what is left, acts, whether something calm was asked for)."""
    acts: dict[str, Act] = {}
    calm = False
    named = phrases("expressions").pattern
    parts = "|".join(_REGIONS)
    while found := re.search(rf"{named} ({parts})\b", rest):
        for act in _regional(found, None if share == _USUAL else share, 0, ""):
            acts[act.track] = act
        rest = rest[: found.start()] + " " + rest[found.end() :]
    while found := _OWN.search(rest):
        acts[found[0]] = Act(f"emotion.{found[0]}", share)
        rest = rest[: found.start()] + " " + rest[found.end() :]
    while found := phrases("expressions").search(rest):
        name = lexicon().expressions[found[1]]
        calm |= name == NEUTRAL
        if name != NEUTRAL:
            acts.setdefault(f"emotion.{name}", Act(f"emotion.{name}", share))
        rest = rest[: found.start()] + " " + rest[found.end() :]
    return rest, list(acts.values()), calm


def _forbidden(clause: str, acts: list[Act]) -> tuple[list[Act], list[str]]:
    """What not doing something is: held still, eyes open, or simply not done."""
    out: list[Act] = []
    for act in acts:
        if act.verb == _LIVELY:
            out.append(Act("head.still", 0.9))
        elif act.track == "blink":
            out.append(Act("blink.natural", 0.0))
    return out, [] if out else [f"nothing is asked for by {clause.strip()!r}"]


def _did_you_mean(word: str) -> str:
    near = lexicon().near(word)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _not_understood(clause: str, unknown: list[str]) -> UserError:
    near = [one for word in unknown for one in lexicon().near(word)[:2]]
    remedy = (
        f"Did you mean {' or '.join(near)}?"
        if near
        else "docs/guides/direction.md lists the words; or ask a model with --llm."
    )
    return UserError(
        f"--say: {clause.strip()[:80]!r}", expected="expressions, looks, nods, turns and when they come",
        got=f"unknown words: {', '.join(unknown[:5])}", remedy=remedy,
    )  # fmt: skip
