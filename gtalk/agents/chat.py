"""`gtalk chat`: an avatar in the browser that answers what is typed there, typed here, or said."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gtalk.agents.completions import PATIENCE_S, ChatEndpoint
from gtalk.agents.conversation import Conversation
from gtalk.agents.hearing import Hearing, open_transcriber
from gtalk.agents.persona import Persona
from gtalk.errors import UserError
from gtalk.viewer.config import ViewConfig
from gtalk.viewer.live.sessions import HostedSession
from gtalk.viewer.server import serve
from gtalk.voice.utterance import Voice
from gtalk.voice.voices import open_voice

_LOOK_EVERY_S = 0.1


@dataclass(frozen=True)
class ChatConfig:
    """Who answers, in what voice, and what hears."""

    llm: str
    """An OpenAI-compatible endpoint, as http://localhost:11434/v1. What is said is sent there; the bearer token is
    $GTALK_LLM_KEY."""
    model: str
    """Name of the model there."""
    persona: Path | None = None
    """A persona.yaml: prompt, voice, emotion, greeting (docs/guides/conversation.md)."""
    voice: str | None = None
    """As of `gtalk say`; the persona's otherwise."""
    hear: str | None = None
    """What hears visitors' microphones. whisper: this machine (extra `hearing`), with the model of `gtalk assets get
    whisper-tiny.en.whl` or whisper:FOLDER#de. An address: an OpenAI-compatible /v1/audio/transcriptions, where what
    they say is sent. Without it, only what is typed is answered."""
    patience_s: float = PATIENCE_S
    """How long an answer may take."""

    def __post_init__(self) -> None:
        if not self.llm.startswith(("http://", "https://")):
            raise UserError("--llm", expected="an address such as http://localhost:11434/v1", got=repr(self.llm[:60]),
                            remedy="Write it with http:// or https://.")  # fmt: skip
        if self.hear is not None:
            open_transcriber(self.hear)


class Talks:
    """The conversations of a server, one for each session that is open."""

    def __init__(self, config: ChatConfig, persona: Persona, show: Callable[[str], None] = lambda _line: None) -> None:
        self._config, self._persona, self._show = config, persona, show
        pace = persona.words_per_minute
        self._voice: Voice = open_voice(persona.voice if config.voice is None else config.voice, pace, persona.style)
        self._model = ChatEndpoint(config.llm, config.model, persona.temperature, config.patience_s)
        self._transcriber = None if config.hear is None else open_transcriber(config.hear)
        self.main: Conversation | None = None

    def join(self, room: HostedSession) -> Callable[[], None]:
        """Converse through a session that opens; what is returned ends it."""
        is_main = self.main is None
        room.warm()

        def show(line: str) -> None:
            room.media.notify(line)
            if is_main:
                self._show(line)

        talk = Conversation(room.session, self._persona, self._voice, self._model, show)
        if is_main:
            self.main = talk
        room.media.on_text = talk.hear
        ears = room.listen(talk.attends)  # the face mouths nobody's words
        hearing: Hearing | None = None
        if self._transcriber is not None:
            hearing = Hearing(self._transcriber, talk.hear, show=show)

        def hear(samples: np.ndarray, deaf: bool) -> None:
            ears.hear(samples, deaf)
            if hearing is not None:
                hearing.hear(samples, deaf)

        room.session.on_heard = hear
        left = threading.Event()
        threading.Thread(target=self._greet, args=(room, talk, left), name="gtalk-greeting", daemon=True).start()

        def leave() -> None:
            left.set()
            talk.close()
            if hearing is not None:
                hearing.close()

        return leave

    def warm(self) -> None:
        """Have the voice loaded before anybody waits for it. Raises UserError for one that cannot speak."""
        self._voice.say("Hello.")

    def _greet(self, room: HostedSession, talk: Conversation, left: threading.Event) -> None:
        while not left.wait(_LOOK_EVERY_S):
            if room.media.n_pages:
                talk.greet()
                return


def chat(avatar_folder: Path, config: ChatConfig, view: ViewConfig) -> None:
    """Open an avatar that converses in the browser until interrupted; lines of stdin are said to it as well."""
    persona = Persona() if config.persona is None else Persona.load(config.persona)
    talks = Talks(config, persona, _tell)
    talks.warm()
    threading.Thread(target=_type, args=(talks,), name="gtalk-stdin", daemon=True).start()
    serve(avatar_folder, view, talks.join)


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _type(talks: Talks) -> None:
    for line in sys.stdin:
        while talks.main is None:
            time.sleep(_LOOK_EVERY_S)
        talks.main.hear(line)
