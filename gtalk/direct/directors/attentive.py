"""Listening to a sound while it comes: the other's voice in, events out; a recording and a microphone alike.

    sound ─▶ speech activity at 100 Hz ─▶ begins, phrase, goes on, is done ─▶ Backchannel ─▶ events

What is decided when depends on what was heard until then and on nothing else, so a dub of a call and the live face do
the same (docs/guides/scenes.md). While the face itself speaks, or hears only itself, it does not listen.
"""

from __future__ import annotations

import numpy as np

from gtalk.direct.directors.backchannel import SMILES_FROM_S, Backchannel, Place
from gtalk.direct.score import Event
from gtalk.shapes import Float
from gtalk.speech.base import RATE_HZ
from gtalk.speech.frontend import FrontEnd
from gtalk.speech.normalise import SpeechActivity
from gtalk.types import AUDIO_RATE

BY = "listening"
_SPEECH, _SILENCE = 0.5, 0.3  # activity
_BEGINS_ROWS, _OF_ROWS = 8, 12
_PHRASE_ROWS, _TURN_ROWS = 25, 80  # of silence, which end a phrase and a turn
_AGAIN_S, _HOLDS_S = 0.5, 1.2  # how often a gaze and a smile are asked for again, and how long they last
_READY_S = 0.8


class Attentive:
    """Listens to one voice. Times are seconds of whoever obeys; not thread-safe."""

    def __init__(self, seed: int = 0, by: str = BY) -> None:
        self._does = Backchannel(seed, by)
        self._by = by
        self._front, self._activity = FrontEnd(), SpeechActivity()
        self._recent: list[bool] = []
        self._phrase_rows = self._turn_rows = self._silent_rows = 0
        self._looks_s = self._asked_s = self._pushed_s = 0.0
        self.place: Place = (0.0, 0.0)
        """Where it sees who speaks; the camera unless somebody knows better."""

    @property
    def hears_a_voice(self) -> bool:
        """Whether a turn of the other is under way."""
        return self._turn_rows > 0

    def push(self, samples: Float[np.ndarray, " N"], now_s: float | None = None, deaf: bool = False) -> list[Event]:
        """What to do about the next sound, mono at AUDIO_RATE. Arguments as of `hear`; by the sound's clock."""
        self._pushed_s += len(samples) / AUDIO_RATE
        activity, _ = self._activity(self._front.push(samples))
        return self.hear(activity, self._pushed_s if now_s is None else now_s, deaf)

    def hear(self, activity: Float[np.ndarray, " M"], now_s: float, deaf: bool = False) -> list[Event]:
        """What to do about the next rows of speech activity, at RATE_HZ.

        Args:
            now_s: when what is decided now can be seen at the earliest.
            deaf: the face speaks, or what is heard may be its own voice.
        """
        out: list[Event] = []
        for value in activity.tolist():
            out += self._row(0.0 if deaf else value, now_s)
        if deaf:
            self._does.holds_breath()
            return []
        return [*out, *self._goes_on(now_s), *self._does.breathes(now_s)]

    def about_to_speak(self, now_s: float) -> list[Event]:
        """Its own turn begins."""
        return self._does.about_to_speak(now_s, now_s + _READY_S / 2)

    def _row(self, activity: float, now_s: float) -> list[Event]:
        if not self._turn_rows:
            self._recent = [*self._recent[1 - _OF_ROWS :], activity > _SPEECH]
            if sum(self._recent) < _BEGINS_ROWS:
                return []
            self._recent.clear()
            self._turn_rows = self._phrase_rows = _BEGINS_ROWS
            self._silent_rows = 0
            self._looks_s = self._asked_s = self._does.reacts_at(now_s - _BEGINS_ROWS / RATE_HZ)
            return self._does.blinks(now_s)
        self._turn_rows += 1
        self._silent_rows = self._silent_rows + 1 if activity < _SILENCE else 0
        self._phrase_rows += 1
        if self._silent_rows == _PHRASE_ROWS:
            return self._does.nods((self._phrase_rows - _PHRASE_ROWS) / RATE_HZ, now_s)
        if self._silent_rows > _PHRASE_ROWS:
            self._phrase_rows = 0
        if self._silent_rows < _TURN_ROWS:
            return []
        self._turn_rows = 0
        return [*self._does.blinks(now_s), *self._does.about_to_speak(now_s, now_s + _READY_S)]

    def _goes_on(self, now_s: float) -> list[Event]:
        """Gaze and smile for a moment more, asked for again before they are over."""
        if not self._turn_rows or now_s < self._asked_s:
            return []
        self._asked_s = now_s + _AGAIN_S
        until_s = now_s + _AGAIN_S + _HOLDS_S
        yaw, pitch = self.place
        out = [
            Event("attend.yaw", yaw, max(now_s, self._looks_s), until_s, by=self._by),
            Event("attend.pitch", pitch, max(now_s, self._looks_s), until_s, by=self._by),
        ]
        if self._turn_rows > SMILES_FROM_S * RATE_HZ and self._silent_rows < _PHRASE_ROWS:
            out += self._does.smiles(now_s, until_s)
        return out
