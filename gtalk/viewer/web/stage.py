"""The page's timeline: a speech that is uploaded, its words, and a score that is played with it.

page -> server   {"do": "speech", "pcm": base64 of i16 at 16 kHz, "first": .., "last": ..}     in pieces
                 {"do": "words", "text": ..}   {"do": "instruct", "say": .., "words": ..}
                 {"do": "read", "text": ..}    {"do": "write", "score": ..}
                 {"do": "direct", "score": .., "record": ..}
server -> page   {"stage": {"duration": ..} | {"words": ..} | {"events": ..} | {"score": ..} | {"text": ..}}
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import math
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakSet

import numpy as np

from gtalk.direct.directors.grammar import read_instruction
from gtalk.direct.directors.speech import Speech
from gtalk.direct.recipes import check_own
from gtalk.direct.score import MOST_BYTES, SCORE_VERSION, Score
from gtalk.errors import UserError
from gtalk.hosting.budget import Budget
from gtalk.motion.model.model import PersonMotionModel
from gtalk.speech.words import Words
from gtalk.types import AUDIO_RATE
from gtalk.viewer.audio.sources import PushSource
from gtalk.viewer.live.session import LiveSession
from gtalk.viewer.web.protocol import BadMessage, from_pcm

MOST_S = 120.0
"""Of an uploaded speech."""
MOST_TEXT = 5000
# Of all pages of a session together.
_MOST_HELD_BYTES = 30_000_000
_SOUND_A_SECOND, _SOUND_AT_ONCE = 1e6, 6e6  # letters of base64: MOST_S at once
_LETTERS_A_SECOND, _LETTERS_AT_ONCE = 2e4, 4e5  # of scores and instructions, which take time to read
_ALIGNED_A_SECOND, _ALIGNED_AT_ONCE = 0.5, 130.0  # seconds of speech
_AFTER_S = 0.4  # that a recording goes on after the speech
_LOOK_EVERY_S = 0.1
COMMANDS = ("speech", "words", "instruct", "read", "write", "direct")

Tell = Callable[..., Awaitable[None]]


class House:
    """What the timelines of a session's pages may hold and cost together."""

    def __init__(self) -> None:
        self.sound = Budget(_SOUND_A_SECOND, _SOUND_AT_ONCE)
        self.letters = Budget(_LETTERS_A_SECOND, _LETTERS_AT_ONCE)
        self.aligned_s = Budget(_ALIGNED_A_SECOND, _ALIGNED_AT_ONCE)
        self.stages: WeakSet[Stage] = WeakSet()

    def check_room(self) -> None:
        """Raises UserError where the pages hold more speech than they may."""
        if sum(stage.held_bytes for stage in self.stages) > _MOST_HELD_BYTES:
            raise UserError("speech", expected="room for it", got="speeches of other pages", remedy="Try again later.")


class Stage:
    """What one page directs."""

    def __init__(self, session: LiveSession, house: House | None = None) -> None:
        self._session = session
        self._house = House() if house is None else house
        self._house.stages.add(self)
        self._pieces: list[np.ndarray] = []
        self._samples = np.zeros(0, np.float32)
        self._source: PushSource | None = None

    @property
    def held_bytes(self) -> int:
        """Of speech."""
        return self._samples.nbytes + sum(piece.nbytes for piece in self._pieces)

    async def take(self, command: dict[str, Any], tell: Tell, size: int = 0) -> PushSource | None:
        """Do a command; the speech that began to be played, where it did. What is wrong is told as a notice.

        Raises BadMessage for what no page of ours sends.

        Args:
            size: of the message, in letters; who sends much waits.
        """
        await (self._house.sound if command["do"] == "speech" else self._house.letters).wait(float(size))
        try:
            match command["do"]:
                case "speech":
                    await self._speech(command, tell)
                case "words":
                    if not self._house.aligned_s.spend(self._duration_s):
                        raise UserError("words", expected="a minute between long alignments", got="another at once",
                                        remedy="Try again in a minute.")  # fmt: skip
                    words = await asyncio.to_thread(self._words, _text(command, "text"))
                    await tell(stage={"words": words.plain()})
                case "instruct":
                    words = Words.of(command.get("words") or [])
                    read = read_instruction(_text(command, "say"), Speech(self._duration_s, words))
                    notes = {"notice": "; ".join(read.notes)} if read.notes else {}
                    await tell(stage={"events": [event.plain() for event in read.events]}, **notes)
                case "read":
                    await tell(stage={"score": _plain(Score.parse(_text(command, "text", MOST_BYTES)))})
                case "write":
                    await tell(stage={"text": self._score(command).text()})
                case "direct":
                    return await self._direct(command, tell)
        except UserError as error:
            await tell(notice=str(error))
        return None

    async def ended(self, source: PushSource) -> None:
        """Until a speech was played to its end, or cut off."""
        while self._session.source is source:
            await asyncio.sleep(_LOOK_EVERY_S)
        await asyncio.sleep(_AFTER_S)

    @property
    def _duration_s(self) -> float:
        return len(self._samples) / AUDIO_RATE

    async def _speech(self, command: dict[str, Any], tell: Tell) -> None:
        try:
            piece = from_pcm(base64.b64decode(_text(command, "pcm", 1 << 20), validate=True))
        except (binascii.Error, ValueError) as error:
            raise BadMessage("sound that is not 16-bit samples in base64") from error
        if command.get("first"):
            self._pieces = []
        self._house.check_room()
        self._pieces += [piece] if len(piece) else []
        if sum(len(piece) for piece in self._pieces) > MOST_S * AUDIO_RATE:
            self._pieces = []
            raise UserError("speech", expected=f"at most {MOST_S:g} s", got="a longer one",
                            remedy="Cut it; `gtalk dub --score` takes any length.")  # fmt: skip
        if command.get("last"):
            self._samples, self._pieces = np.concatenate([np.zeros(0, np.float32), *self._pieces]), []
            await tell(stage={"duration": self._duration_s})

    def _words(self, text: str) -> Words:
        from gtalk.speech.align import align_words

        return align_words(self._samples, text)

    def _score(self, command: dict[str, Any]) -> Score:
        score = command.get("score")
        if not isinstance(score, dict):
            raise BadMessage(f"{command['do']!r} without a score")
        checked = Score.of({"version": SCORE_VERSION, **score})
        if len(self._samples):
            checked.check_length(self._duration_s)
        return checked

    async def _direct(self, command: dict[str, Any], tell: Tell) -> PushSource | None:
        score = self._score(command)
        if not len(self._samples):
            raise UserError("timeline", expected="a speech", got="none", remedy="Choose a sound file first.")
        if any(event.track == "key.frame" for event in score.events):
            raise UserError("key.frame", expected="keys in numbers", got="one that names a file of this machine",
                            remedy="Use key.open, key.wide or key.round, or `gtalk dub --score`.")  # fmt: skip
        model = self._session.talker.motion_model
        check_own(score.events, model.expressions if isinstance(model, PersonMotionModel) else {})
        source = PushSource("directed speech", audible=True, bounded=False, limit_s=MOST_S + 1.0)
        source.push(self._samples)
        source.close()
        self._session.perform(source, score, self._duration_s)
        return source


def _text(command: dict[str, Any], name: str, most: int = MOST_TEXT) -> str:
    value = command.get(name)
    if not isinstance(value, str) or len(value) > most:
        raise BadMessage(f"{command['do'][:32]!r} without a text {name!r} of at most {most} characters")
    return value


def _plain(score: Score) -> dict[str, Any]:
    """With start and end of every event in seconds instead of the word that it is pinned to; an open end is null."""
    events = [
        {
            **{k: v for k, v in event.plain().items() if k != "at"},
            "start": event.start_s,
            "end": event.end_s if math.isfinite(event.end_s) else None,
        }
        for event in score.events
    ]
    return {"words": score.words.plain(), "events": events}
