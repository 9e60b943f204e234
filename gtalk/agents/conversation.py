"""A conversation with a live face: what is said to it goes to a model, its answer to a voice, the voice to the face.

    text ─▶ ChatModel ─▶ pieces ─▶ Clauses ─▶ Voice ─▶ LiveSession.speak_on ─▶ picture and sound
                                       └─ tags ─▶ Attention ─▶ LiveSession.direct

One thread reads the model, another makes the next clause while the last is spoken. Who speaks up, or writes, ends the
answer: model, voice and mouth stop, and the history keeps what was really said.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from gtalk.agents.attention import Attention, State
from gtalk.agents.clauses import Clauses, speakable
from gtalk.agents.completions import Answer, ChatModel, Message
from gtalk.agents.persona import Persona
from gtalk.direct.directors.speech import Speech
from gtalk.direct.directors.tags import Tag, split_tags
from gtalk.direct.score import Event
from gtalk.errors import UserError
from gtalk.viewer.audio.sources import PushSource
from gtalk.viewer.live.session import LiveSession
from gtalk.voice.synthesis import MAX_TEXT
from gtalk.voice.utterance import Utterance, Voice

MOST_MESSAGES, MOST_LETTERS = 40, 24_000
"""Of the history that a model is told."""
AHEAD_S = 12.0
"""So much speech is made in advance, no more."""
_LOOK_EVERY_S = 0.02
_LAST_IMAGES_S = 1.0
_RULES = """
What you write is said aloud by a synthetic face as it comes: write plain sentences as they are spoken, without lists,
markup, emoji or links. You may direct the face with tags in square brackets in front of the words they belong to:
[smile .5], [sad], [surprised], [neutral], [nod], [shake head], [look left], [blink]. Use few. They are not spoken."""


@dataclass
class _Said:
    """A clause on its way to the listener."""

    begin_s: float
    """In seconds of the source."""
    utterance: Utterance

    def until(self, shown_s: float) -> str:
        """The words of it that were heard."""
        since_s = shown_s - self.begin_s
        if since_s >= self.utterance.duration_s - 0.05:
            return self.utterance.text
        return " ".join(word.text for word in self.utterance.words if word.middle_s <= since_s)


class _Turn:
    """One answer, from the question to the last word."""

    def __init__(self) -> None:
        self.source = PushSource("conversation", audible=True, bounded=False, limit_s=AHEAD_S)
        self.over = threading.Event()
        self.answer: Answer | None = None
        self.said: list[_Said] = []
        self._pushed_s = 0.0

    def add(self, utterance: Utterance) -> None:
        self.said.append(_Said(self._pushed_s, utterance))
        self._pushed_s += utterance.duration_s

    def heard(self) -> str:
        """What was really said."""
        return " ".join(words for one in self.said if (words := one.until(self.source.shown_s)))

    def stop(self) -> None:
        """The model ends; what the voice still makes is not wanted."""
        self.over.set()
        if self.answer is not None:
            self.answer.cancel()


class Conversation:
    """Talks through one session. Thread-safe.

    Args:
        session: the face.
        persona: who it is.
        voice: says the clauses.
        model: answers.
        show: gets lines to be shown: who said what, and what went wrong.
    """

    def __init__(
        self,
        session: LiveSession,
        persona: Persona,
        voice: Voice,
        model: ChatModel,
        show: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self._session, self._persona, self._voice, self._model, self._show = session, persona, voice, model, show
        self._attention = Attention(persona.emotion)
        self._lock = threading.RLock()
        self._history: list[Message] = []
        self._turn: _Turn | None = None
        self.state: State = "listening"
        self._enter("listening")

    @property
    def history(self) -> list[Message]:
        """Who said what; of an answer under way what was said of it."""
        with self._lock:
            under_way = self._turn.heard() if self._turn is not None else ""
            return [*self._history, *([{"role": "assistant", "content": under_way}] if under_way else [])]

    def greet(self) -> None:
        """Say the greeting, where there is one and nobody has spoken yet."""
        with self._lock:
            if self._persona.greeting and not self._history and self._turn is None:
                self._begin(_Turn(), "speaking", [self._persona.greeting])

    def hear(self, text: str) -> None:
        """Somebody said this: whatever is being said ends, and an answer begins."""
        text = " ".join(text.split())[:MAX_TEXT]
        if not text:
            return
        with self._lock:
            self.interrupt()
            self._show(f"you: {text}")
            self._remember("user", text)
            if self._attention.nod(self._now_s()):
                self._direct()
            system: Message = {"role": "system", "content": self._persona.prompt + "\n" + _RULES}
            turn = _Turn()
            self._begin(turn, "thinking", self._pieces(turn, [system, *self._history]))

    def attends(self, events: Sequence[Event]) -> float:
        """Somebody is heard: what ears ask for. Returns the instant of the first frame that can still change."""
        with self._lock:
            if events:
                self._attention.listen(events)
                self._direct()
            return self._now_s()

    def interrupt(self) -> None:
        """Be quiet now."""
        with self._lock:
            turn = self._turn
            if turn is not None:
                turn.stop()
                if self._session.source is turn.source:
                    self._session.interrupt()
                self._finish(turn)

    def close(self) -> None:
        """End it."""
        self.interrupt()

    def _pieces(self, turn: _Turn, messages: list[Message]) -> Iterator[str]:
        answer = turn.answer = self._model.answer(messages)
        if turn.over.is_set():  # meanwhile
            answer.cancel()
        yield from answer

    def _begin(self, turn: _Turn, state: State, pieces: Iterable[str]) -> None:
        self._turn = turn
        self._enter(state)
        made: queue.Queue[str | UserError | None] = queue.Queue()
        for target, args in ((_read, (pieces, turn, made)), (self._speak, (turn, made))):
            threading.Thread(target=target, args=args, name="gtalk-turn", daemon=True).start()

    def _speak(self, turn: _Turn, made: queue.Queue[str | UserError | None]) -> None:
        """Says clauses as they are made until there are no more, or somebody cuts in."""
        try:
            while (clause := self._next(turn, made)) is not None:
                if isinstance(clause, UserError):
                    self._fail(turn, clause)
                    break
                self._say(turn, clause)
            turn.source.close()
            self._wait(turn, lambda: turn.source.ended)
            until_s = time.monotonic() + _LAST_IMAGES_S
            while not turn.over.is_set() and not turn.source.all_shown and time.monotonic() < until_s:
                time.sleep(_LOOK_EVERY_S)
        except UserError as error:  # of the voice
            self._show(_one_line(error))
        except Exception as error:  # the session lives on, whatever a model or a voice made of it
            self._show(f"the answer broke off: {type(error).__name__}: {error}"[:300])
        finally:
            with self._lock:
                turn.stop()
                turn.source.close()
                self._finish(turn)

    def _next(self, turn: _Turn, made: queue.Queue[str | UserError | None]) -> str | UserError | None:
        while not self._is_over(turn):
            with suppress(queue.Empty):
                return made.get(timeout=_LOOK_EVERY_S)
        return None

    def _wait(self, turn: _Turn, done: Callable[[], bool]) -> None:
        while not done() and not self._is_over(turn):
            time.sleep(_LOOK_EVERY_S)

    def _is_over(self, turn: _Turn) -> bool:
        """Also when the session was cut off by a voice that it heard, or by something else that it says."""
        with self._lock:
            cut = bool(turn.said) and self._session.source is not turn.source and not turn.source.ended
            if cut:
                turn.stop()
            return turn.over.is_set()

    def _say(self, turn: _Turn, clause: str) -> None:
        plain, tags = split_tags(clause)
        text = speakable(plain)
        if text != plain:  # words that vanished are no place for a tag any more
            tags = [Tag(tag.text, min(tag.words_before, len(text.split()))) for tag in tags]
        utterance = self._voice.say(text) if any(map(str.isalnum, text)) else None
        self._wait(turn, lambda: turn.source.buffered_s < AHEAD_S)
        with self._lock:
            if self._is_over(turn):
                return
            if utterance is None:  # tags alone: behind what was said
                self._obey(turn, tags, Speech(0.0), self._now_s() + turn.source.buffered_s)
                return
            if not turn.said:
                self._session.play(turn.source)
                self._enter("speaking")
            begin_s = self._session.speak_on(turn.source, utterance.samples, utterance.phones)
            if begin_s is None:
                turn.stop()
                return
            turn.add(utterance)
            self._obey(turn, tags, Speech(utterance.duration_s, utterance.words), begin_s)
        self._show(f"answer: {text}")

    def _obey(self, turn: _Turn, tags: list[Tag], speech: Speech, begin_s: float) -> None:
        if not tags:
            return
        for unknown in self._attention.obey(tags, speech, begin_s):
            self._show(f"a tag that says nothing known: [{unknown}]")
        self._direct()

    def _fail(self, turn: _Turn, error: UserError) -> None:
        """Words on the page, and a sentence."""
        self._show(_one_line(error))
        if self._persona.apology:
            self._say(turn, self._persona.apology)

    def _finish(self, turn: _Turn) -> None:
        if self._turn is not turn:
            return
        self._turn = None
        if heard := turn.heard():
            self._remember("assistant", heard)
        self._attention.cut(self._now_s())
        self._enter("listening")

    def _remember(self, role: str, content: str) -> None:
        self._history.append({"role": role, "content": content})
        del self._history[:-MOST_MESSAGES]
        while sum(len(one["content"]) for one in self._history) > MOST_LETTERS:
            del self._history[0]

    def _enter(self, state: State) -> None:
        self.state = state
        self._attention.enter(state, self._now_s())
        self._direct()

    def _direct(self) -> None:
        self._session.direct(self._attention.score(self._now_s()))

    def _now_s(self) -> float:
        """Of the first frame that can still change."""
        return self._session.direct([])


def _read(pieces: Iterable[str], turn: _Turn, made: queue.Queue[str | UserError | None]) -> None:
    """Clauses of a model's answer; an error where it fails, None at its end."""
    clauses = Clauses()
    try:
        for piece in pieces:
            for clause in clauses.push(piece):
                made.put(clause)
            if turn.over.is_set():
                return
        if last := clauses.end():
            made.put(last)
    except UserError as error:
        made.put(error)
    except Exception as error:  # a model of somebody's own
        made.put(UserError("the model", expected="an answer", got=f"{type(error).__name__}: {error}"[:200],
                           remedy="Ask again."))  # fmt: skip
    made.put(None)


def _one_line(error: UserError) -> str:
    return " ".join(str(error).split())[:300]
