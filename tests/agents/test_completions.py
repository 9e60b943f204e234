"""Streamed answers of good, slow, dead and hostile endpoints."""

import threading
import time

import pytest

from gtalk.agents.completions import MOST_LETTERS, ChatEndpoint, ChatModel, without_thoughts
from gtalk.errors import UserError
from tests.agents.scripted import HEAD, dripping, endpoint, event, silent, stream

ASKED = [{"role": "user", "content": "Hello."}]


def answer_of(url: str, patience_s: float = 10.0) -> str:
    return "".join(ChatEndpoint(url, "small", 0.3, patience_s).answer(ASKED))


def test_an_answer_is_streamed_and_the_model_is_asked_as_it_should() -> None:
    assert isinstance(ChatEndpoint("http://x", "small"), ChatModel)
    with endpoint(stream("Hel", "lo", " you.")) as (url, asked, _):
        assert answer_of(url) == "Hello you."
    (one,) = asked
    assert one["path"] == "/v1/chat/completions" and one["stream"] is True and one["temperature"] == 0.3
    assert one["messages"] == ASKED


def test_a_server_that_does_not_stream_is_heard_too() -> None:
    body = b'{"choices": [{"message": {"content": "Whole."}}]}'
    with endpoint(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body) as (url, _, _):
        assert answer_of(url) == "Whole."


@pytest.mark.parametrize("pieces", [["a<think>b</think>c"], [*"a<think>b</think>c"], ["a<th", "ink>b</thi", "nk>c"]])
def test_thoughts_are_not_said(pieces: list[str]) -> None:
    assert "".join(without_thoughts(iter(pieces))) == "ac"
    assert "".join(without_thoughts(iter(["1 < 2 <thin"]))) == "1 < 2 <thin"


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 8\r\n\r\nno model", "status 404 Not Found: no model"),
        (HEAD + b'data: {"error": {"message": "overloaded"}}\n\n', "the error 'overloaded'"),
        (HEAD + b"data: nonsense\n\n", "no chat completion"),
        (HEAD + b"data: [1]\n\n", "no chat completion"),
        (stream(), "an answer without text"),
        (HEAD + b"data: " + b"x" * 1_100_000, "a line of more than"),
        (b"garbage\r\n\r\n", "BadStatusLine"),
        (b"", "RemoteDisconnected"),
    ],
    ids=["404", "error", "nonsense", "list", "empty", "long line", "garbage", "nothing"],
)
def test_what_is_no_answer_is_a_sentence(script: bytes, says: str) -> None:
    with endpoint(script) as (url, _, _), pytest.raises(UserError, match=says):
        answer_of(url)


def test_a_slow_one_ends_with_its_time_and_a_dead_one_at_once() -> None:
    with endpoint(silent) as (url, _, _), pytest.raises(UserError, match=r"within 0.3 s"):
        answer_of(url, 0.3)
    with endpoint() as (url, _, _):
        pass
    with pytest.raises(UserError, match="Is the server running"):
        answer_of(url)


def test_an_endless_one_is_heard_no_longer_than_it_may() -> None:
    with endpoint(HEAD + event("word " * 100) * 300) as (url, _, _):
        assert len(answer_of(url)) == MOST_LETTERS


def test_who_is_cancelled_hangs_up_and_raises_nothing() -> None:
    with endpoint(dripping("One two three.")) as (url, _, left):
        answer = ChatEndpoint(url, "small").answer(ASKED)
        threading.Timer(0.2, answer.cancel).start()
        assert "".join(answer).startswith("One")
        until_s = time.monotonic() + 5
        while not left and time.monotonic() < until_s:
            time.sleep(0.01)
        assert left == [True], "the server saw the end"
