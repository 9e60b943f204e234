"""Keys in a live session, where what is to come is not known: the mouth is drawn to each by how near it is.

    d_t = least change with  A d_t = s(t) (b - A c_t),   s = 1 at the key's frame and 0 from LIVE_REACH_S on

with c_t the mouth code that speech asks for, A and b as in `gtalk.direct.keys`. So a key is met exactly, nothing
changes beyond its reach, and keys of one track that are closer share the way between them. Lips that speech shuts stay
shut.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gtalk.basis import MOUTH_GROUP
from gtalk.direct.composer import LATE_S, told_events
from gtalk.direct.keys import CROSSED_M, OWN_FRAMES, SHUT_M, measures_of, mouth_of
from gtalk.direct.score import Event, Score
from gtalk.motion.model.model import PersonMotionModel
from gtalk.shapes import Float
from gtalk.types import Motion

LIVE_REACH_S = 0.2
"""How far from a key the mouth is drawn to it."""
_SLACK = 1e-6  # of rows of unit length: keys that contradict each other meet half way


@dataclass(frozen=True)
class _Key:
    track: str
    at_s: float
    from_s: float
    """Where the way to it begins: not before the session heard of it."""
    rows: Float[np.ndarray, "N Km"]
    """Of unit length."""
    wanted: Float[np.ndarray, " N"]
    """What they give for the mouth that is asked for."""


class LiveKeys:
    """An EventEdit that obeys the keys of what it is told: a Score, which replaces the former, an Event, or several."""

    def __init__(self, model: PersonMotionModel) -> None:
        self._model = model
        self._keys: tuple[_Key, ...] = ()
        self._now_s = 0.0

    def receive(self, event: object) -> None:
        """Obey these keys; what is over is left out, what is to be at once comes LATE_S after now."""
        if isinstance(event, Score):
            begun = [key for key in self._keys if key.from_s < self._now_s]  # the mouth does not jump
            self._put([*begun, *self._made(event.events)])
        elif told := told_events(event):
            self._put([*self._keys, *self._made(told)])

    def __call__(self, motion: Motion, start_frame: int = 0) -> Motion:
        """The frames with the mouth drawn to what is asked; others are passed on as they are."""
        fps, landmarks = motion.fps, None
        self._now_s = (start_frame + len(motion)) / fps
        for i in range(len(motion) if self._keys else 0):
            if (change := self._change(motion[i], start_frame + i)) is not None:
                landmarks = motion.landmarks.astype(np.float64) if landmarks is None else landmarks
                landmarks[i, MOUTH_GROUP] += np.einsum("k,kpc->pc", change, self._model.basis.mouth)
        self._keys = tuple(key for key in self._keys if key.at_s + LIVE_REACH_S + 1 / fps > self._now_s)
        return motion if landmarks is None else motion.replace(landmarks=landmarks)

    def _put(self, keys: list[_Key]) -> None:
        self._keys = tuple(sorted(keys, key=lambda key: (key.track, key.at_s)))

    def _made(self, events: tuple[Event, ...]) -> list[_Key]:
        out = []
        for event in events:
            if not event.track.startswith("key.") or event.start_s < self._now_s or not event.weight:
                continue
            at_s = max(event.start_s, self._now_s + LATE_S if self._now_s else 0.0)
            rows, wanted = self._rows(event)
            out.append(_Key(event.track, at_s, max(at_s - LIVE_REACH_S, self._now_s), rows, wanted))
        return out

    @cached_property
    def _measures(self) -> dict:
        return measures_of(self._model)

    def _rows(self, event: Event) -> tuple[np.ndarray, np.ndarray]:
        if event.track == "key.frame":
            wanted = mouth_of(str(event.value), self._model)
            return np.eye(len(wanted)), wanted
        measure = self._measures[event.track]
        size = float(np.linalg.norm(measure.per_code_m))
        value_m = measure.wanted_m(float(event.value or 0.0)) - measure.mean_m
        return measure.per_code_m[None] / size, np.array([value_m / size])

    def _change(self, frame: Motion, number: int) -> Float[np.ndarray, " Km"] | None:
        """What the mouth code of one frame changes by; None where no key is near."""
        near = [(key, share) for key, share in zip(self._keys, self._shares(number, frame.fps), strict=True) if share]
        if not near:
            return None
        code = self._model.basis.encode(frame)[0, self._model.basis.groups["mouth"]]
        rows, right = [], []
        for track in {key.track: None for key, _ in near}:
            mine = [(key, share) for key, share in near if key.track == track]
            rows.append(mine[0][0].rows)
            right.append(sum(share * (key.wanted - key.rows @ code) for key, share in mine))
        table, asked = np.concatenate(rows), np.concatenate(right)
        change = table.T @ np.linalg.solve(table @ table.T + _SLACK * np.eye(len(table)), asked)
        at_key = min(abs(number - round(key.at_s * frame.fps)) for key, _ in near)
        return self._with_closures(code, change, at_key)

    def _with_closures(self, code: np.ndarray, change: np.ndarray, frames_off: int) -> np.ndarray:
        """Lips that speech shuts stay shut, and none pass through each other, but for what a key asks itself."""
        opening = self._measures["key.open"]
        per_code = opening.per_code_m
        before_m, rest_m = opening.mean_m + float(code @ per_code), opening.wanted_m(0.0)
        moved_m = float(change @ per_code)
        if frames_off > OWN_FRAMES and before_m - rest_m < SHUT_M:
            keep_m = 0.0
        elif frames_off and before_m + moved_m < min(before_m, rest_m) - CROSSED_M:
            keep_m = min(before_m, rest_m) - before_m
        else:
            return change
        return change + per_code * ((keep_m - moved_m) / float(per_code @ per_code))

    def _shares(self, number: int, fps: float) -> list[float]:
        """How far each key has its way with a frame; between two of one track their shares add up to 1."""
        out, reach = [], max(1, round(LIVE_REACH_S * fps))
        frames = [round(key.at_s * fps) for key in self._keys]
        for i, key in enumerate(self._keys):
            begin, end = max(frames[i] - reach, round(key.from_s * fps)), frames[i] + reach
            if i and self._keys[i - 1].track == key.track:
                begin = max(begin, frames[i - 1])
            if i + 1 < len(frames) and self._keys[i + 1].track == key.track:
                end = min(end, frames[i + 1])
            away = (number - frames[i]) / max(1, end - frames[i] if number > frames[i] else frames[i] - begin)
            left = max(0.0, 1.0 - abs(away))
            out.append(left * left * (3.0 - 2.0 * left))
        return out
