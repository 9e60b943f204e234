"""A scene live in the page: one session, several faces. Turns come from texts, from programs, or from both.

page: "Ann: Hello. Bob: Hi!" ─▶ a voice each ─┐
program: /push {"do": "begin", "as": "Ann"} ──┴▶ one after the other ─▶ Ensemble ─▶ one picture
"""

from __future__ import annotations

import dataclasses
import queue
import re
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from gtalk.direct.directors.tags import split_tags
from gtalk.errors import UserError
from gtalk.motion.edits.emotion import no_voice
from gtalk.scene.config import SceneConfig
from gtalk.scene.ensemble import Ensemble
from gtalk.scene.render import Marks, stage
from gtalk.scene.script import Member, Scene, read_scene
from gtalk.talk import load_character
from gtalk.viewer.audio.sources import speech_source
from gtalk.viewer.config import ViewConfig
from gtalk.viewer.live.session import LiveSession
from gtalk.viewer.live.sessions import HostedSession
from gtalk.viewer.server import serve_cast
from gtalk.voice.utterance import Voice
from gtalk.voice.voices import open_voice

_USUAL_VOICES = ("en-us", "en-gb+f3", "en-us+m3", "en-gb+f2", "en-us+m7", "en-us+f4")
_MOST_TURNS = 100  # of one text


def serve_scene(scene_file: Path, config: ViewConfig) -> None:
    """Open a scene in the browser until interrupted. Raises UserError as `gtalk scene` does."""
    no_voice(config.controls.emotion, "a live session")
    if config.play is not None or config.score is not None:
        raise UserError("--play and --score", expected="neither, since it is not said whose speech it is",
                        got="one of them", remedy=f"Render it: gtalk scene {scene_file} -o film.mp4")  # fmt: skip
    scene = at_height(read_scene(scene_file, live=True), config.size)
    load = lru_cache(maxsize=None)(load_character)
    options = SceneConfig(seed=config.seed, device=config.device)

    def cast() -> Ensemble:
        return Ensemble(stage(scene, options, load, live=True))

    first = cast()
    voices = voices_of_texts(scene.cast)

    def join(room: HostedSession) -> Callable[[], None]:
        troupe = Troupe(room.session, voices, room.media.notify)
        room.media.on_text = troupe.say
        return troupe.close

    identity = first.players[0].character.identity
    serve_cast(cast, identity, config, join, Marks(first.staged))


def at_height(scene: Scene, height: int) -> Scene:
    """The same picture, so many pixels high."""
    width = 2 * round(scene.size[0] * height / scene.size[1] / 2)
    return dataclasses.replace(scene, size=(width, height // 2 * 2))


def voices_of_texts(cast: Sequence[Member]) -> dict[str, Voice]:
    """By name. Raises UserError for a voice that is none."""
    return {
        member.name: open_voice(member.says_with or _USUAL_VOICES[i % len(_USUAL_VOICES)])
        for i, member in enumerate(cast)
    }  # fmt: skip


def turns_of_text(text: str, names: Sequence[str], after: str = "") -> list[tuple[str, str]]:
    """(who, what) of "Ann: Hello. Bob: Hi!"; what nobody is named for is said by whoever comes after `after`.

    Tags in brackets are not said.
    """
    found = re.split(rf"(?:^|(?<=\s))({'|'.join(map(re.escape, names))})\s*:\s*", text, flags=re.IGNORECASE)
    known = {name.lower(): name for name in names}
    next_one = names[(names.index(after) + 1) % len(names)] if after in names else names[0]
    parts = [
        (next_one, found[0]),
        *((known[who.lower()], what) for who, what in zip(found[1::2], found[2::2], strict=True)),
    ]
    said = [(who, " ".join(split_tags(what)[0].split())) for who, what in parts]
    return [(who, what) for who, what in said if any(map(str.isalnum, what))][:_MOST_TURNS]


class Troupe:
    """Says the texts of a session's pages, each in the voice of who says it. `close` ends it."""

    def __init__(self, session: LiveSession, voices: dict[str, Voice], show: Callable[[str], None]) -> None:
        """`voices`: by name, in the order of the cast. `show`: gets lines for the page."""
        self._session, self._voices, self._show = session, voices, show
        self._last = ""
        self._turns: queue.Queue[tuple[str, str, int] | None] = queue.Queue(4 * _MOST_TURNS)
        self._thread = threading.Thread(target=self._run, name="gtalk-troupe", daemon=True)
        self._thread.start()

    def say(self, text: str) -> None:
        """Have it said, after what is being said."""
        for who, what in turns_of_text(text, tuple(self._voices), self._last):
            self._last = who
            if self._turns.full():
                self._show("Too many turns wait: try again in a moment.")
                return
            self._turns.put((who, what, self._session.line.n_cleared))

    def close(self) -> None:
        """End it."""
        while not self._turns.empty():
            self._turns.get_nowait()
        self._turns.put(None)
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while (turn := self._turns.get()) is not None:
            who, what, asked = turn
            if asked != self._session.line.n_cleared:  # somebody cut in
                continue
            try:
                source = speech_source(self._voices[who].say(what).samples, speaker=who)
            except UserError as error:
                self._show(" ".join(str(error).split())[:300])
                continue
            except Exception as error:  # of a voice of somebody's own
                self._show(f"{who} could not say that: {type(error).__name__}: {error}"[:300])
                continue
            if asked == self._session.line.n_cleared and not self._session.play_after(source):
                self._show("Too many turns wait: try again in a moment.")
