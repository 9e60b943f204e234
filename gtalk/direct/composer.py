"""From events to numbers over time: each channel is a weighted mean of what is asked of it at an instant.

    value(t) = neutral + sum_i w_i s_i(t) (v_i - neutral) / max(1, sum_i w_i |s_i(t)|)

with the weights w and values v of the events. A level's share s is 1 from start to end and eases cubically before and
after; a swing's share is the movement itself, there and back. Then no level changes by more than a tenth of its range
a frame. The order of events changes nothing, nor does how the frames are cut: an instant's sums run in one fixed
order, and events elsewhere add zeros.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable

import numpy as np

from gtalk.direct.score import EASE_S, Event, Score
from gtalk.direct.tracks import channels_of, track_of
from gtalk.shapes import Float

MOST_STEP = 0.1
"""Of its range: how far a level changes from one frame to the next."""
LATE_S = 0.12
"""An event that comes late begins so much after the present."""
DEPTH = ".depth"
"""Behind the name of a swing: how far it goes at its widest, beside where it is."""
BLINK_S, SHUT_AT = 0.32, 0.4
"""How long a blink takes, and when of it the lids are shut."""
_FOREVER_S = 1e9
_OVER_S = 2.0  # behind its ease, which may have been lengthened
_NOT_MINE = ("key", "place")
_START, _END, _EASE_IN, _EASE_OUT, _WEIGHT, _VALUE, _TIMES = range(7)


class Composer:
    """The numbers of a set of events, frame after frame; more events may come in between.

    `wanted`: of which tracks; others are not obeyed, nor are keys and places.
    """

    def __init__(self, events: Iterable[Event] = (), wanted: Callable[[str], bool] = lambda _track: True) -> None:
        self.events: tuple[Event, ...] = ()
        self._wanted = wanted
        self._last: dict[str, float] | None = None
        self.put(events)

    def put(self, events: Iterable[Event]) -> None:
        """Obey these instead from the next frame on."""
        mine = (e for e in events if e.weight and track_of(e.track).kind not in _NOT_MINE and self._wanted(e.track))
        self.events = tuple(sorted(mine, key=_order))
        rows = [(e, *pair) for e in self.events for pair in channels_of(e.track, e.value)]  # type: ignore[arg-type]
        self.channels = tuple(sorted({channel for _, channel, _ in rows} | set(self._last or ())))
        """Names of all that can be asked for."""
        tracks = [track_of(channel.partition("|")[0]) for channel in self.channels]
        self._neutral = np.array([track.neutral for track in tracks])
        swings = np.array([track.kind == "swing" for track in tracks], bool)
        self._step = np.where(swings, np.inf, MOST_STEP * np.array([track.high - track.low for track in tracks]))
        number = {channel: i for i, channel in enumerate(self.channels)}
        self._of = np.array([number[channel] for _, channel, _ in rows], np.intp)
        numbers = [_numbers(event, value) for event, _, value in rows]
        self._rows = np.array(numbers, np.float64).reshape(-1, 7).T
        self._swings = np.flatnonzero(swings[self._of])
        kinds = [rows[i][0].track for i in self._swings]
        self._shakes, self._blinks = (np.array([kind == k for kind in kinds], bool) for k in ("head.shake", "blink"))
        self._lengthen()

    def add_late(self, events: Iterable[Event], now_s: float) -> None:
        """More events, which may be late: they ease in from LATE_S after now on; what is over is forgotten."""
        left = (e for e in self.events if e.end_s + max(e.ease_out_s, EASE_S) + _OVER_S > now_s)
        self.put([*left, *(moved for e in events if (moved := _in_time(e, now_s)) is not None)])

    def receive(self, event: object, now_s: float) -> None:
        """What an edit is told: a Score, which replaces the former, an Event or several, which may be late."""
        if isinstance(event, Score):
            self.put(event.events)
        elif told := told_events(event):
            self.add_late(told, now_s)

    def __call__(self, first: int, count: int, fps: float) -> list[dict[str, float]]:
        """What is asked of `count` frames from number `first` on: by channel, where it is not neutral."""
        return [self._at((first + i) / fps) for i in range(count)]

    def _at(self, time_s: float) -> dict[str, float]:
        if not self.channels:
            return {}
        share = self._shares(time_s)
        force = self._rows[_WEIGHT] * share
        size = len(self.channels)
        total = np.bincount(self._of, np.abs(force), size)
        most = np.maximum(1.0, total)
        value = self._neutral * (1.0 - total / most) + np.bincount(self._of, force * self._rows[_VALUE], size) / most
        if self._last is not None:
            last = np.array([self._last.get(c, n) for c, n in zip(self.channels, self._neutral, strict=True)])
            value = np.where(
                np.abs(value - last) <= self._step, value, last + np.clip(value - last, -self._step, self._step)
            )
        far = np.flatnonzero(value != self._neutral)
        self._last = {self.channels[i]: float(value[i]) for i in far}
        return {**self._last, **self._depths(share)}

    def _depths(self, share: Float[np.ndarray, " N"]) -> dict[str, float]:
        """By swing that moves: how far it goes at its widest."""
        out: dict[str, float] = {}
        for i in self._swings:
            if share[i]:
                name = self.channels[self._of[i]] + DEPTH
                out[name] = max(out.get(name, 0.0), float(self._rows[_VALUE, i]))
        return out

    def _shares(self, time_s: float) -> Float[np.ndarray, " N"]:
        rows = self._rows
        share = _smooth((time_s - (rows[_START] - rows[_EASE_IN])) / rows[_EASE_IN])
        share *= _smooth((rows[_END] + rows[_EASE_OUT] - time_s) / rows[_EASE_OUT])
        if len(self._swings):
            share[self._swings] = self._swung(time_s, *rows[:, self._swings][[_START, _END, _TIMES]])
        return share

    def _swung(self, time_s: float, start: np.ndarray, end: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Share of its depth that a swing has reached: a nod as (1 - cos) / 2, a shake as a sine that begins and ends
        at rest, a blink in the middle of its turn, shut sooner than open.
        """
        length = np.maximum(end - start, 1e-9)
        cycles = np.clip((time_s - start) / length, 0.0, 1.0) * times
        phase, each = cycles - np.floor(cycles), length / times
        nod = 0.5 - 0.5 * np.cos(2.0 * np.pi * phase)
        shake = np.sin(2.0 * np.pi * phase) * _smooth(4.0 * cycles) * _smooth(4.0 * (times - cycles))
        since = (phase - 0.5) * each / np.minimum(each, BLINK_S) + SHUT_AT
        blink = _smooth(since / SHUT_AT) * _smooth((1.0 - since) / (1.0 - SHUT_AT))
        within = (time_s > start) & (time_s < end)
        return within * np.where(self._blinks, blink, np.where(self._shakes, shake, nod))

    def _lengthen(self) -> None:
        """Eases in which a level does not move faster than it may, at 25 frames a second."""
        if not self._rows.size:
            return
        off = np.abs(self._rows[_VALUE] - self._neutral[self._of]) * np.minimum(1.0, self._rows[_WEIGHT])
        least = EASE_S * off * MOST_STEP / self._step[self._of] + 1e-9  # as good as nothing for swings
        for ease in (_EASE_IN, _EASE_OUT):
            self._rows[ease] = np.maximum(self._rows[ease], least)


def told_events(event: object) -> tuple[Event, ...]:
    """Events of what an edit is told beside scores: one, or several; none in what is not for a score."""
    several = event if isinstance(event, (list, tuple)) else (event,)
    events = tuple(one for one in several if isinstance(one, Event))
    return events if len(events) == len(several) else ()


def _numbers(event: Event, value: float) -> tuple[float, ...]:
    end_s = event.end_s if math.isfinite(event.end_s) else _FOREVER_S
    return (event.start_s, end_s, event.ease_in_s, event.ease_out_s, event.weight, value, float(event.times))


def _smooth(share: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    t = np.clip(share, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _order(event: Event) -> tuple:
    return (
        event.start_s, event.end_s, event.track, str(event.value), event.weight, event.ease_in_s, event.ease_out_s,
        event.times,
    )  # fmt: skip


def _in_time(event: Event, now_s: float) -> Event | None:
    """The event as it can still be obeyed; None when it is over."""
    soonest_s = now_s + LATE_S
    if track_of(event.track).kind == "swing":
        late_s = soonest_s - event.start_s
        if late_s <= 0:
            return event
        return (
            dataclasses.replace(event, start_s=soonest_s, end_s=event.end_s + late_s) if event.end_s >= now_s else None
        )
    if event.end_s + event.ease_out_s <= soonest_s:
        return None
    start_s = max(event.start_s, soonest_s + event.ease_in_s)
    return dataclasses.replace(event, start_s=start_s, end_s=max(event.end_s, start_s))
