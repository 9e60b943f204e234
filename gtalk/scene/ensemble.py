"""Several faces as one talker, for a live session: whoever has the word speaks, the others listen to it.

sound of the turn ─▶ the session of who speaks ──┐
silence ───────────▶ those of all others ────────┼─▶ moments of all ─▶ one picture
speech activity ───▶ Attentive of each ─ events ─┘
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from gtalk.basis import MotionBasis
from gtalk.direct.directors.attentive import Attentive
from gtalk.direct.directors.backchannel import Place
from gtalk.direct.score import Event
from gtalk.scene.compose import Compositor
from gtalk.scene.layout import front_order
from gtalk.scene.render import Player, Staged
from gtalk.shapes import Shaped
from gtalk.speech.frontend import FrontEnd
from gtalk.speech.known_phones import KnownPhones
from gtalk.speech.normalise import SpeechActivity
from gtalk.talk import MotionFrame, TalkSession, View
from gtalk.types import Camera, Frame

BY = "scene"
_AGAIN_S, _HOLDS_S = 0.5, 1.2
_STRANGE_ROWS = 20


@dataclass(frozen=True)
class SceneMoment(MotionFrame):
    """A moment of all faces; `motion` is of who speaks, or spoke last."""

    each: tuple[MotionFrame, ...] = ()
    """In the order of the cast."""


@dataclass
class Stage:
    """Whom pictures of a scene show: the first of the cast, to whoever asks for one, under a camera of its size."""

    kind: str
    basis: MotionBasis
    device: torch.device
    camera: Camera
    fps: float

    @staticmethod
    def of(staged: Staged) -> Stage:
        """A scene's."""
        first, (width, height) = staged.players[0].character.avatar, staged.scene.size
        camera = Camera(first.camera.focal_px, width / 2, height / 2, width, height, first.camera.T_camera_world)
        return Stage(first.kind, first.basis, first.device, camera, first.fps)


class Ensemble:
    """Several who talk as one (`gtalk.talk.Talks`)."""

    def __init__(self, staged: Staged) -> None:
        first = staged.players[0].talker
        self.avatar, self.motion_model = Stage.of(staged), first.motion_model
        self.seed, self.fps, self.view = first.seed, first.fps, View(size=staged.scene.size)
        self.staged = staged
        boxes = [player.box for player in staged.players]
        self._compositor = Compositor(staged.scene, boxes, front_order(staged.scene), self.fps)

    @property
    def players(self) -> tuple[Player, ...]:
        """The cast."""
        return self.staged.players

    @property
    def names(self) -> tuple[str, ...]:
        """Who may be given the word."""
        return tuple(player.member.name for player in self.players)

    def session(self) -> EnsembleSession:
        """A fresh conversation."""
        return EnsembleSession(self)

    def draw(self, moments: Sequence[MotionFrame], view: View | None = None) -> list[Frame]:
        """One picture of all. Of a view its size is obeyed."""
        out = []
        for moment in moments:
            assert isinstance(moment, SceneMoment)
            frames = [p.talker.draw([one])[0] for p, one in zip(self.players, moment.each, strict=True)]
            rgb, size = self._compositor(frames), (view or self.view).size
            if size is not None and size != (rgb.shape[1], rgb.shape[0]):
                rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
            out.append(Frame(moment.time_s, rgb, np.full(rgb.shape[:2], 255, np.uint8), moment.motion, moment.samples))
        return out

    def warm(self) -> None:
        """Everybody's."""
        for player in self.players:
            player.talker.warm()


class EnsembleSession:
    """A running conversation of several, as `TalkSession` of one."""

    def __init__(self, talker: Ensemble) -> None:
        self._talker = talker
        self._sessions: list[TalkSession] = [player.talker.session() for player in talker.players]
        self._ready: list[deque[MotionFrame]] = [deque() for _ in self._sessions]
        self._ears = [Attentive(player.talker.seed, BY) for player in talker.players]
        self._front, self._activity = FrontEnd(), SpeechActivity()
        self._who: int | None = None  # has the word
        self._last = 0  # spoke last
        self._partner: list[int | None] = [None] * len(self._sessions)  # whom each answers
        self._asked_s = 0.0
        self._now_s = 0.0
        self._strange_rows = 0  # of a voice that is none of theirs

    @property
    def n_bad_samples(self) -> int:
        """Samples that were NaN or infinite."""
        return sum(session.n_bad_samples for session in self._sessions)

    def give_word(self, name: str) -> None:
        """The next sound is said by this one of the cast; by nobody where the name is none of theirs."""
        names = self._talker.names
        who = names.index(name) if name in names else None
        if who is None or who == self._who:
            self._who = who
            return
        if who != self._last:
            self._partner[who] = self._last
        self._who = self._last = who
        self._asked_s = 0.0
        self._tell(who, self._ears[who].about_to_speak(self._now_s))

    def post(self, event: object) -> float:
        """Tell everybody. Returns the instant of the first frame that can still change for all."""
        self._now_s = max(session.post(event) for session in self._sessions)
        return self._now_s

    def post_to(self, name: str, event: object) -> float:
        """Tell one of the cast."""
        return self._sessions[self._talker.names.index(name)].post(event)

    def know(self, phones: KnownPhones) -> None:
        """What whoever speaks next says, see `TalkSession.know`."""
        self._sessions[self._last if self._who is None else self._who].know(phones)

    def interrupt(self) -> None:
        """Everybody is quiet."""
        for session in self._sessions:
            session.interrupt()

    def advance(self, samples: Shaped[np.ndarray, "..."]) -> list[MotionFrame]:
        """The next sound, of who has the word; moments of all that are now decided."""
        self._converse(samples)
        silence = np.zeros(len(samples), np.float32)
        for i, session in enumerate(self._sessions):
            self._ready[i] += session.advance(samples if i == self._who else silence)
        return self._decided()

    def end(self) -> list[MotionFrame]:
        """The remaining moments."""
        for i, session in enumerate(self._sessions):
            self._ready[i] += session.end()
        return self._decided()

    def push(self, samples: Shaped[np.ndarray, "..."]) -> list[Frame]:
        """`advance`, drawn."""
        return self._talker.draw(self.advance(samples))

    def finish(self) -> list[Frame]:
        """`end`, drawn."""
        return self._talker.draw(self.end())

    def _decided(self) -> list[MotionFrame]:
        """Frame i of each is the same instant; who looks further ahead is waited for."""
        out: list[MotionFrame] = []
        while all(self._ready):
            each = tuple(ready.popleft() for ready in self._ready)
            samples = sum((one.samples for one in each[1:]), each[0].samples)
            out.append(SceneMoment(each[0].time_s, each[self._last].motion, samples, each))
        return out

    def _converse(self, samples: np.ndarray) -> None:
        """What each does about who speaks: the same as alone (`gtalk.direct.directors.attentive`)."""
        activity, _ = self._activity(self._front.push(samples))
        places, names = self._talker.staged.places, self._talker.names
        self._now_s = max(session.post(()) for session in self._sessions)
        self._strange_rows = 0 if self._who is not None else self._strange_rows + int((activity > 0.5).sum())
        visitor = self._strange_rows > _STRANGE_ROWS  # more than the end of somebody's last word
        for i, ears in enumerate(self._ears):
            ears.place = (0.0, 0.0) if visitor or i == self._last else places[names[i]][names[self._last]]
            self._tell(i, ears.hear(activity, self._now_s, deaf=i == self._who))
        if self._who is not None and self._now_s >= self._asked_s:
            self._asked_s = self._now_s + _AGAIN_S
            partner = self._partner[self._who]
            place: Place = (0.0, 0.0) if partner is None else places[names[self._who]][names[partner]]
            until_s = self._now_s + _AGAIN_S + _HOLDS_S
            self._tell(self._who, [Event("attend.yaw", place[0], self._now_s, until_s, by=BY),
                                   Event("attend.pitch", place[1], self._now_s, until_s, by=BY)])  # fmt: skip

    def _tell(self, who: int, events: Sequence[Event]) -> None:
        if events:
            self._sessions[who].post(list(events))
