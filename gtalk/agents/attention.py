"""What a face does while it listens, thinks and speaks, as events of a score; tags last over it all.

listening    looks at you, small nods while you speak
thinking     looks up and away, until the first clause
speaking     as the speech and its tags have it
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from gtalk.direct.directors.speech import Speech
from gtalk.direct.directors.tags import Tag, TagTrack, check_tags
from gtalk.direct.score import Event, Score
from gtalk.errors import UserError

State = Literal["listening", "thinking", "speaking"]
_SOON_S = 0.2  # behind the first frame that can still change
_NOD_DEG, _NOD_S, _NODS_APART_S = 3.0, 0.6, 2.5
_AWAY_DEG, _UP_DEG = 11.0, 7.0
_KEPT_S = 2.0  # what ended so long ago leaves no trace
BY = "conversation"


class Attention:
    """The score of a conversation that goes on. Times are seconds since the session began; not thread-safe."""

    def __init__(self, emotion: str = "") -> None:
        """`emotion`: a tag that is held from the beginning."""
        self._tags = TagTrack()
        self._asked: list[Event] = []
        self._state: list[Event] = []
        self._nodded_s = -math.inf
        self._side = 1.0
        self._listens = True
        if emotion:
            self._tags.take([Tag(emotion.lower(), 0)], Speech(0.0))

    def enter(self, state: State, now_s: float) -> None:
        """Another state from now on."""
        start_s = now_s + _SOON_S
        self._listens = state == "listening"
        if state == "listening":
            self._state = [Event("attend.yaw", 0.0, start_s, by=BY)]
        elif state == "thinking":
            self._side = -self._side
            self._state = [
                Event("attend.yaw", self._side * _AWAY_DEG, start_s + 0.2, by=BY),
                Event("attend.pitch", _UP_DEG, start_s + 0.2, by=BY),
            ]
        else:
            self._state = []

    def listen(self, events: Sequence[Event]) -> None:
        """What ears ask for (`gtalk.direct.directors.attentive`), while nothing is being said or thought."""
        if self._listens:
            self._asked += events

    def nod(self, now_s: float) -> bool:
        """A small nod, if the last was not a moment ago."""
        if now_s - self._nodded_s < _NODS_APART_S:
            return False
        self._nodded_s, start_s = now_s, now_s + _SOON_S
        self._asked.append(Event("head.nod", _NOD_DEG, start_s, start_s + _NOD_S, by=BY))
        return True

    def obey(self, tags: Sequence[Tag], speech: Speech, begin_s: float) -> list[str]:
        """The tags of a clause that begins at `begin_s`; those that nobody understands are returned."""
        good: list[Tag] = []
        bad: list[str] = []
        for tag in tags:
            try:
                check_tags([tag])
                good.append(tag)
            except UserError:
                bad.append(tag.text)
        self._asked += self._tags.take(good, speech, begin_s)
        return bad

    def cut(self, now_s: float) -> None:
        """What was to come does not."""
        self._asked = [event for event in self._asked if event.start_s <= now_s]
        self._tags.cut(now_s)

    def score(self, now_s: float) -> Score:
        """All that is asked for now and later."""
        self._asked = [event for event in self._asked if event.end_s + event.ease_out_s > now_s - _KEPT_S]
        return Score((*self._asked, *self._tags.held(), *self._state))
