"""What somebody who listens does, decided while another speaks, by what was heard until then; lips are never moved.

The other begins: eyes go there, and often a blink. A phrase ends: perhaps a nod. The other goes on: a small smile back.
The other is done: a blink, and brows and head rise a little, as of somebody who may speak next. And the chest breathes.
A scene asks for this turn by turn (`listening.py`), a microphone or a recording row by row (`attentive.py`).
"""

from __future__ import annotations

import math

import numpy as np

from gtalk.direct.score import Event

Place = tuple[float, float]
"""Yaw towards the image's right and pitch up, degrees, from the camera."""

REACT_S = (0.16, 0.34)
"""How long after another begins to speak the eyes go there."""
PHRASE_S = 1.2
"""Shorter phrases are not nodded at."""
SMILES_FROM_S = 2.0
"""Of a turn, before the smile comes back."""
SOON_S = 0.35
_NOD_P, _NOD_DEG, _NOD_S, _NODS_APART_S = 0.55, (2.5, 5.0), (0.5, 0.7), 2.2
_NOD_AFTER_S, _TWICE_P = (0.05, 0.3), 0.3
_SMILE = 0.14
_BLINK_P, _BLINK_S, _BLINK_AFTER_S = 0.65, 0.32, (0.05, 0.45)
_SOON_DEG, _SOON_BROWS = 1.5, 0.12
_BREATH_S, _IN_S, _OUT_S, _BREATH_DEG = (3.4, 4.8), 1.3, 1.9, 0.6
_FAINTLY = 0.25  # weight of a breath beside whatever else moves the head


class Backchannel:
    """One listener. Times are seconds; every answer is events to be obeyed from then on."""

    def __init__(self, seed: int, by: str) -> None:
        """`seed`: so that two who listen do not nod in step. `by`: who asks, in the events."""
        self._rng, self._by = np.random.default_rng([seed, 7]), by
        self._nodded_s = -math.inf
        self._breath_s: float | None = None

    def reacts_at(self, begun_s: float) -> float:
        """When the eyes are on somebody who began to speak then."""
        return begun_s + float(self._rng.uniform(*REACT_S))

    def blinks(self, at_s: float) -> list[Event]:
        """A turn begins or ends: often a blink."""
        start_s, blinks = at_s + self._rng.uniform(*_BLINK_AFTER_S), self._rng.random() < _BLINK_P
        return [Event("blink", 1.0, start_s, start_s + _BLINK_S, by=self._by)] if blinks else []

    def nods(self, phrase_s: float, ended_s: float) -> list[Event]:
        """A phrase of that length has ended: a nod, if it was long enough and the last nod is over for a while."""
        if phrase_s < PHRASE_S:
            return []
        start_s, length_s = ended_s + self._rng.uniform(*_NOD_AFTER_S), self._rng.uniform(*_NOD_S)
        depth, wants = self._rng.uniform(*_NOD_DEG), self._rng.random() < _NOD_P
        times = 1 + int(self._rng.random() < _TWICE_P)
        if not wants or start_s - self._nodded_s <= _NODS_APART_S:
            return []
        self._nodded_s = start_s + times * length_s
        return [Event("head.nod", depth, start_s, self._nodded_s, times=times, by=self._by)]

    def smiles(self, start_s: float, end_s: float) -> list[Event]:
        """The other goes on; what overlaps is the same smile."""
        return [Event("emotion.smile", _SMILE, start_s, end_s, by=self._by)]

    def about_to_speak(self, start_s: float, end_s: float) -> list[Event]:
        """Brows and head rise a little."""
        ease = {"ease_in_s": 0.25, "ease_out_s": 0.4, "by": self._by}
        return [
            Event("head.raise", _SOON_DEG, start_s, end_s, **ease),
            Event("shape.browInnerUp", _SOON_BROWS, start_s, end_s, **ease),
        ]

    def breathes(self, until_s: float) -> list[Event]:
        """Breaths that begin until then: the head rises with the chest, and sinks more slowly."""
        if self._breath_s is None:
            self._breath_s = until_s + _IN_S
        out: list[Event] = []
        while self._breath_s - _IN_S <= until_s:
            ease = {"ease_in_s": _IN_S, "ease_out_s": _OUT_S, "weight": _FAINTLY, "by": self._by}
            out.append(Event("head.raise", _BREATH_DEG / _FAINTLY, self._breath_s, self._breath_s + 0.1, **ease))
            self._breath_s += float(self._rng.uniform(*_BREATH_S))
        return out

    def holds_breath(self) -> None:
        """It speaks itself: the next breath comes afterwards."""
        self._breath_s = None
