"""Conversations with a toy face and scripted models, in real time."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from gtalk.agents.completions import ChatEndpoint
from gtalk.agents.conversation import MOST_MESSAGES, Conversation
from gtalk.agents.persona import Persona
from gtalk.direct.score import Event, Score
from gtalk.viewer.audio.sources import PushSource
from gtalk.viewer.live.session import LiveSession
from tests.agents.scripted import ScriptedModel, ToyVoice, dripping, endpoint, silent, stream
from tests.viewer.live_servers import toy_cast, voice

QUICK = Persona(prompt="You are Robin.", apology="Sorry.")


@contextmanager
def talking(model, persona: Persona = QUICK) -> Iterator[tuple[Conversation, LiveSession, list[str], ToyVoice]]:
    session, shown, speaker = LiveSession(toy_cast(16)()), [], ToyVoice()
    session.start()
    talk = Conversation(session, persona, speaker, model, shown.append)
    try:
        yield talk, session, shown, speaker
    finally:
        talk.close()
        session.stop()


def until(done: Callable[[], object], seconds: float = 8.0) -> None:
    end_s = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end_s, "it never came"
        time.sleep(0.01)


def rests(talk: Conversation) -> Callable[[], bool]:
    return lambda: talk.state == "listening"


def test_an_answer_is_said_clause_by_clause_and_remembered_without_its_tags() -> None:
    model = ScriptedModel(["[smile .6] Hel", "lo! [no", "d] It is 3.5. [flibber] Bye."], ["Yes."])
    with talking(model) as (talk, session, shown, speaker):
        talk.hear("  Good   day. ")
        until(lambda: talk.state == "speaking")
        assert session.source is not None and session.source.name == "conversation"
        until(rests(talk))
        assert speaker.texts == ["Hello!", "It is 3.5.", "Bye."]
        assert talk.history == [
            {"role": "user", "content": "Good day."}, {"role": "assistant", "content": "Hello! It is 3.5. Bye."},
        ]  # fmt: skip
        assert any("[flibber]" in line for line in shown) and "answer: Bye." in shown
        talk.hear("And?")
        until(lambda: len(model.asked) == 2)
        system, *told = model.asked[1]
        assert system["role"] == "system" and "You are Robin." in system["content"] and "[nod]" in system["content"]
        assert [one["content"] for one in told] == ["Good day.", "Hello! It is 3.5. Bye.", "And?"]


def test_emotions_last_over_clauses_and_answers_and_gaze_follows_the_state() -> None:
    model = ScriptedModel(["[smile .6] Hello. ", "How are you?"], ["[/smile] Fine."])
    with talking(model) as (talk, session, _, _):
        scores: list[Score] = []
        direct = session.direct
        session.direct = lambda what: (isinstance(what, Score) and scores.append(what), direct(what))[1]
        talk.hear("Hi.")
        until(rests(talk))
        lasting = [event for event in scores[-1].events if event.track == "emotion.smile"]
        assert [event.value for event in lasting] == [0.6] and lasting[0].end_s == float("inf")
        assert any(event.track == "attend.yaw" and event.value for score in scores for event in score.events), "thinks"
        assert [e.value for e in scores[-1].events if e.track == "attend.yaw"] == [0.0], "looks at you"
        talk.hear("Hi.")
        until(rests(talk))
        ended = [event for event in scores[-1].events if event.track == "emotion.smile"]
        assert all(event.end_s < float("inf") for event in ended)


@pytest.mark.parametrize("by", ["text", "voice", "stop"])
def test_who_cuts_in_ends_model_voice_and_mouth_and_history_keeps_what_was_said(by: str) -> None:
    words = "One two three four five six seven eight nine ten eleven twelve thirteen "
    words += "fourteen fifteen sixteen seventeen eighteen nineteen twenty. "
    with (
        endpoint(dripping(words + "And so on. " * 30), stream("Right.")) as (url, asked, left),
        talking(ChatEndpoint(url, "small")) as (talk, session, _, speaker),
    ):
        if by == "voice":
            microphone = PushSource("microphone", audible=False, echo_cancelled=True)
            session.hear(microphone)
        talk.hear("Count.")
        until(lambda: talk.state == "speaking")
        time.sleep(0.9)
        if by == "text":
            talk.hear("Stop!")
        elif by == "stop":
            session.interrupt()
        else:
            until(lambda: (microphone.push(voice(0.04)), time.sleep(0.04), session.source is microphone)[-1])
        until(lambda: left, 3.0)
        assert left[0] is True, "it hung up on the model"
        until(rests(talk))
        said = next(one["content"] for one in talk.history if one["role"] == "assistant")
        assert said.startswith("One two") and "twenty" not in said, said
        if by == "text":
            until(lambda: len(asked) == 2)
            assert asked[1]["messages"][-2:] == [
                {"role": "assistant", "content": said}, {"role": "user", "content": "Stop!"},
            ]  # fmt: skip
        n_texts = len(speaker.texts)
        time.sleep(0.2)
        assert len(speaker.texts) == n_texts


def test_what_fails_is_one_sentence_and_the_session_lives_on() -> None:
    refused = b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"
    with (
        endpoint(refused, silent, stream("An unspeakable word."), stream("Hi.")) as (url, _, _),
        talking(ChatEndpoint(url, "small", patience_s=0.3)) as (talk, session, shown, speaker),
    ):
        for n_apologies, words in ((1, "status 500"), (2, "within 0.3 s"), (2, "Say it otherwise")):
            talk.hear("Hello?")
            until(lambda: talk.state != "listening")
            until(rests(talk))
            assert sum(words in line for line in shown) == 1
            assert speaker.texts.count("Sorry.") == n_apologies
        talk.hear("Hello?")
        until(lambda: "answer: Hi." in shown)
        assert session.source is not None


def test_a_model_of_ones_own_that_breaks_is_told_and_the_history_stays_bounded() -> None:
    class Broken:
        def answer(self, messages):
            raise ValueError("broken on purpose")

    with talking(Broken(), Persona(apology="")) as (talk, _, shown, _):
        for _ in range(MOST_MESSAGES + 5):
            talk.hear("x" * 1500)
        assert len(talk.history) <= 16
        assert any("broken on purpose" in line for line in shown)


def test_a_greeting_is_said_once_and_not_to_who_speaks_first() -> None:
    greeter = Persona(greeting="[smile] Hello!")
    with talking(ScriptedModel(), greeter) as (talk, session, _, speaker):
        talk.greet()
        talk.greet()
        until(rests(talk))
        talk.greet()
        assert speaker.texts == ["Hello!"]
        assert np.isfinite(session.stats().buffered_s)


def test_what_ears_ask_for_is_done_while_it_listens_and_not_while_it_thinks(monkeypatch) -> None:
    with talking(ScriptedModel()) as (talk, session, _, _):
        asked: list[Score] = []
        monkeypatch.setattr(session, "direct", lambda what: (asked.append(what) if what else None, 5.0)[1])
        nod = Event("head.nod", 4.0, 5.5, 6.0, by="listening")
        assert talk.attends([nod]) == 5.0 and nod in asked[-1].events
        talk._enter("thinking")
        talk.attends([Event("head.nod", 3.0, 7.0, 7.5, by="listening")])
        assert not any(event.start_s == 7.0 for event in asked[-1].events)
