"""What one of several people does while others speak, as events of a score; whoever listens keeps the lips still.

Looks at the speaker, a fifth of a second after the turn began; nods after some of the speaker's phrases; smiles back a
little; blinks where turns change; and shortly before its own turn raises head and brows a little. While it speaks it
looks at whom it answers, and now and then away. Seeded, so that two who listen do not nod in step.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from gtalk.direct.directors.backchannel import SMILES_FROM_S, SOON_S, Backchannel, Place
from gtalk.direct.score import Event
from gtalk.hearing.turns import Turn

BY = "scene"
_GLANCE_AFTER_S, _GLANCE_S, _GLANCE_DEG = (2.5, 5.0), (0.4, 0.9), (9.0, -6.0)  # away from whom it speaks to


def events_of_conversation(
    me: str,
    turns: Sequence[Turn],
    phrases: Mapping[str, Sequence[tuple[float, float]]],
    places: Mapping[str, Place],
    duration_s: float,
    seed: int = 0,
) -> list[Event]:
    """What `me` does.

    Args:
        turns: of all, in the order of time.
        phrases: by speaker, (start, end) in seconds between pauses.
        places: where `me` sees each of the others; who is not there is nobody's gaze.
        duration_s: of the scene.
        seed: of this member.
    """
    rng, does = np.random.default_rng([seed, 11]), Backchannel(seed, BY)
    out = _gazes(me, turns, places, duration_s, does, rng)
    others = [turn for turn in turns if turn.speaker != me]
    mine = [turn for turn in turns if turn.speaker == me]
    free = _free(mine, duration_s)
    for begun_s, ended_s in _phrases(others, phrases):
        out += [e for e in does.nods(ended_s - begun_s, ended_s) if _common(e.start_s, e.end_s, free)]
    for turn in others:
        for a, b in _common(turn.start_s + 1.0, turn.end_s, free):
            if b - a > SMILES_FROM_S:
                out += does.smiles(a, b)
    for turn in turns:
        out += [blink for blink in does.blinks(turn.start_s) if blink.end_s < duration_s]
    for before, turn in zip([None, *mine], mine, strict=False):
        start_s = turn.start_s - SOON_S
        if start_s > (0.0 if before is None else before.end_s + 2.0 * SOON_S):
            out += does.about_to_speak(start_s, turn.start_s)
    for a, b in free:
        does.holds_breath()
        out += [e for e in (*does.breathes(a), *does.breathes(b)) if e.start_s < b]
    return sorted(out, key=lambda event: (event.start_s, event.track))


def _gazes(
    me: str,
    turns: Sequence[Turn],
    places: Mapping[str, Place],
    duration_s: float,
    does: Backchannel,
    rng: np.random.Generator,
) -> list[Event]:
    """Whom it looks at from when on: the speaker, or, speaking, who spoke last (before that: who speaks next)."""
    seen = [turn for turn in turns if turn.speaker == me or turn.speaker in places]
    out: list[Event] = []
    partner = next((turn.speaker for turn in seen if turn.speaker != me), next(iter(places), None))
    for turn, after in itertools.zip_longest(seen, seen[1:]):
        if turn.speaker != me:
            partner = turn.speaker
        if partner is None:
            continue
        start_s = does.reacts_at(turn.start_s) if turn.speaker != me else turn.start_s - SOON_S
        start_s = 0.0 if turn is seen[0] else max(0.0, start_s)
        out += _at(places[partner], start_s, duration_s if after is None else after.start_s + 2.0)
        if turn.speaker == me:
            out += _glances(places[partner], turn, rng)
    # Each place holds until the next: what ends in between would send the eyes to the camera for a moment.
    return out


def _at(place: Place, start_s: float, end_s: float) -> list[Event]:
    yaw, pitch = place
    return [
        Event("attend.yaw", yaw, start_s, max(start_s, end_s), by=BY),
        Event("attend.pitch", pitch, start_s, max(start_s, end_s), by=BY),
    ]


def _glances(place: Place, turn: Turn, rng: np.random.Generator) -> list[Event]:
    """Short looks aside while speaking, as people have who think of what comes next."""
    out: list[Event] = []
    at_s = turn.start_s + rng.uniform(*_GLANCE_AFTER_S)
    while at_s + 1.5 < turn.end_s:
        length_s, side = rng.uniform(*_GLANCE_S), rng.choice([-1.0, 1.0])
        out += _at((place[0] + side * _GLANCE_DEG[0], place[1] + _GLANCE_DEG[1]), at_s, at_s + length_s)
        at_s += length_s + rng.uniform(*_GLANCE_AFTER_S)
    return out


def _phrases(others: Sequence[Turn], phrases: Mapping[str, Sequence[tuple[float, float]]]) -> list[tuple[float, float]]:
    """(start, end) of what others say in their turns, in the order of ends."""
    found = {
        (a, b) for turn in others for a, b in phrases.get(turn.speaker, ()) if turn.start_s < b <= turn.end_s + 0.05
    }
    return sorted(found, key=lambda phrase: (phrase[1], phrase[0]))


def _free(mine: Sequence[Turn], duration_s: float) -> list[tuple[float, float]]:
    """When it does not speak."""
    edges = [0.0, *(x for turn in mine for x in (turn.start_s - SOON_S, turn.end_s)), duration_s]
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a]


def _common(start_s: float, end_s: float, spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(max(a, start_s), min(b, end_s)) for a, b in spans if min(b, end_s) > max(a, start_s)]
