"""Sounds around as events of a score: the face turns to who speaks or what bangs, and to the camera when it answers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gtalk.direct.score import Event
from gtalk.hearing.tracker import AHEAD_DEG, Source

BY = "sound"
_LATENCY_S, _STARTLED_S = 0.2, 0.14  # from a sound to the eyes' jump
_ANSWER_S = 0.3  # before it speaks, a face looks at whom it speaks to
_STARTLE = (("shape.eyeWide", 0.35), ("shape.browInnerUp", 0.2))
_STARTLE_S, _STARTLE_EASE_S = 0.25, 0.12
_MOST_DEG = 90.0
_AGAIN_S, _HOLDS_S = 0.5, 1.2  # live: how often a gaze is asked for again, and how long it lasts then


def events_of_sources(
    sources: Sequence[Source], duration_s: float, own: Sequence[tuple[float, float]] = (), mirrored: bool = False
) -> list[Event]:
    """What a face does about what it hears.

    Args:
        sources: in the order of time.
        duration_s: of the film.
        own: (start, end) in seconds where the face itself speaks: there it looks at the camera.
        mirrored: channel 2 is the face's own right, which is the image's left.
    """
    out: list[Event] = []
    for source, after in zip(sources, [*sources[1:], None], strict=True):
        if source.azimuth_deg is None:
            continue
        ahead = abs(source.azimuth_deg) < AHEAD_DEG
        startled = source.sudden and not ahead
        start_s = source.start_s + (_STARTLED_S if startled else _LATENCY_S)
        end_s = duration_s if after is None else min(duration_s, after.start_s + _LATENCY_S)
        yaw = 0.0 if ahead else max(-_MOST_DEG, min(_MOST_DEG, source.azimuth_deg)) * (-1.0 if mirrored else 1.0)
        free = _without(start_s, end_s, own)
        out += [Event("attend.yaw", round(yaw, 1), a, b, by=BY) for a, b in free]
        if startled and free and free[0][0] == start_s:
            ease = {"ease_in_s": _STARTLE_EASE_S, "by": BY}
            out += [Event(track, x, start_s, start_s + _STARTLE_S, **ease) for track, x in _STARTLE]
    return out


class Turning:
    """The same while sounds come: told sources as they are found. Times are seconds of whoever obeys."""

    def __init__(self, mirrored: bool = False) -> None:
        """`mirrored`: as above."""
        self._sign = -1.0 if mirrored else 1.0
        self._asked_s = -math.inf
        self.yaw_deg: float | None = None
        """Where what is followed is seen, to the image's right; None where nothing is."""

    def push(self, sources: Sequence[Source], now_s: float, speaks: bool = False) -> list[Event]:
        """What to do from `now_s` on. While the face speaks itself it looks at the camera."""
        out: list[Event] = []
        for source in sources:
            if source.azimuth_deg is None:
                self.yaw_deg = None
                continue
            ahead = abs(source.azimuth_deg) < AHEAD_DEG
            yaw = 0.0 if ahead else max(-_MOST_DEG, min(_MOST_DEG, self._sign * source.azimuth_deg))
            self.yaw_deg, self._asked_s = round(yaw, 1), -math.inf
            if source.sudden and not ahead and not speaks:
                ease = {"ease_in_s": _STARTLE_EASE_S, "by": BY}
                out += [Event(track, x, now_s, now_s + _STARTLE_S, **ease) for track, x in _STARTLE]
        if self.yaw_deg is None or speaks or now_s < self._asked_s:
            return out
        self._asked_s = now_s + _AGAIN_S
        return [*out, Event("attend.yaw", self.yaw_deg, now_s, now_s + _AGAIN_S + _HOLDS_S, by=BY)]


def _without(start_s: float, end_s: float, own: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """What is left of a span when the face does not speak, nor is about to."""
    left, at_s = [], start_s
    for begin_s, stop_s in own:
        if begin_s - _ANSWER_S >= end_s:
            break
        if stop_s > at_s:
            left.append((at_s, max(at_s, begin_s - _ANSWER_S)))
            at_s = max(at_s, stop_s)
    left.append((at_s, end_s))
    return [(a, b) for a, b in left if b - a > 1e-6]
