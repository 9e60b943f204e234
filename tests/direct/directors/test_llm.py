"""A scripted endpoint on this machine plays good, wrong, slow, dead and hostile models."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from gtalk.direct.directors.llm import ModelEndpoint, ask_model
from gtalk.direct.directors.speech import Speech
from gtalk.errors import UserError
from gtalk.reading.endpoint import MOST_ANSWER_BYTES
from gtalk.speech.words import Words
from tests.direct.sentences import END, WORDS

SPEECH = Speech(END, Words.of(WORDS))


def answer(content: object, status: str = "200 OK") -> bytes:
    body = json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]}).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


@contextmanager
def endpoint(
    *scripts: bytes | Callable[[socket.socket], None], timeout_s: float = 10.0
) -> Iterator[tuple[ModelEndpoint, list[dict]]]:
    """A server that answers the n-th request with the n-th script, and what it was asked."""
    asked: list[dict] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for script in scripts:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                asked.append(read_request(client))
                with suppress(OSError):
                    client.sendall(script) if isinstance(script, bytes) else script(client)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield ModelEndpoint(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", "small", timeout_s), asked
    finally:
        listener.close()
        thread.join(timeout=2)


def read_request(client: socket.socket) -> dict:
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    while len(body) < length:
        body += client.recv(65536)
    key = [line.split(b": ")[1].decode() for line in head.split(b"\r\n") if line.lower().startswith(b"authorization")]
    return {"path": head.split(b" ")[1].decode(), "authorization": key, **json.loads(body)}


GOOD = {
    "events": [
        {"track": "emotion.smile", "value": 0.6, "at": "finally"},
        {"track": "head.nod", "times": 2, "start": 6, "end": 7.2},
    ]
}


def test_a_good_answer_becomes_events_and_the_model_knows_words_and_tracks() -> None:
    with endpoint(answer("Sure!\n```json\n" + json.dumps(GOOD) + "\n```")) as (where, asked):
        smile, nod = ask_model("smile, then nod", SPEECH, where)
    assert (smile.track, smile.start_s, smile.by, nod.times) == ("emotion.smile", 4.8, "llm small", 2)
    assert asked[0]["path"] == "/v1/chat/completions" and asked[0]["model"] == "small"
    rules = asked[0]["messages"][0]["content"]
    assert "finally@4.80-5.40" in rules and "head.nod" in rules and "key." not in rules


def test_a_wrong_answer_is_sent_back_once_with_what_is_wrong() -> None:
    wrong = {"events": [{"track": "emotion.hapy", "value": 0.6}]}
    with endpoint(answer(json.dumps(wrong)), answer(json.dumps(GOOD))) as (where, asked):
        assert len(ask_model("smile", SPEECH, where)) == 2
    assert "emotion.happy" in asked[1]["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("I will not.", "JSON"),
        ("{" * 900_000, "JSON"),
        ("]" * 450_000 + "[" * 450_000, "JSON"),
        ('{"events": [{"track": "emotion.smile", "value": NaN}]}', "JSON"),
        ('{"events": "all of them"}', "at most 500"),
        ('{"events": [' + ",".join(['{"track": "emotion.smile"}'] * 501) + "]}", "at most 500"),
        ('{"events": [{"track": "key.frame", "value": "/etc/passwd@1", "start": 1}]}', "no keys"),
        ('{"events": [{"track": "emotion.smile", "value": "<script>alert(1)</script>"}]}', "a number from 0 to 1"),
        ('{"events": [{"track": "emotion.smile", "start": 90, "end": 99}]}', "within the 14.00 s"),
        ('{"events": [{"track": "emotion.smile", "at": "abracadabra"}]}', "a word that is said"),
        ('{"events": [{"track": "emotion.smile", "consent": true}]}', "unknown key"),
        ('{"events": [3]}', "events"),
    ],
)  # fmt: skip
def test_what_is_no_score_is_refused(content: str, says: str) -> None:
    with endpoint(answer(content), answer(content)) as (where, _), pytest.raises(UserError, match=says):
        ask_model("smile", SPEECH, where)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (answer("x", "500 Oh no"), "status 500"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n", "status 302"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnope", "no chat completion"),
        (answer(None), "without text"),
        (b"garbage\r\n\r\n", "BadStatusLine"),
        (b"", "RemoteDisconnected"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MOST_ANSWER_BYTES + 70_000), "more than"),
    ],
    ids=["500", "elsewhere", "no completion", "no text", "garbage", "nothing", "large"],
)
def test_what_is_no_answer_is_a_sentence(script: bytes, says: str) -> None:
    with endpoint(script) as (where, _), pytest.raises(UserError, match=says):
        ask_model("smile", SPEECH, where)


def drip(client: socket.socket) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\n")
    for _ in range(200):
        client.sendall(b"x")
        time.sleep(0.05)


def endless(client: socket.socket) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(200):
        client.sendall(b" ")
        time.sleep(0.05)


@pytest.mark.parametrize("script", [drip, endless, lambda client: time.sleep(3)], ids=["head", "body", "silence"])
def test_slow_endpoints_end_with_the_time_that_they_have(script) -> None:
    with endpoint(script, timeout_s=0.5) as (where, _), pytest.raises(UserError, match=r"within 0.5 s"):
        ask_model("smile", SPEECH, where)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://x/v1", "the address"),
        ("localhost:1234", "the address"),
        ("http://127.0.0.1:9/v1", "Is the server running"),
        ("http://127.0.0.1:99999/v1", "127.0.0.1"),
    ],
)
def test_dead_and_impossible_addresses_are_sentences(url: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        ask_model("smile", SPEECH, ModelEndpoint(url, "small", 2.0))


def test_the_key_is_sent_and_only_as_a_header(monkeypatch) -> None:
    monkeypatch.setenv("GTALK_LLM_KEY", "secret")
    with endpoint(answer(json.dumps(GOOD))) as (where, asked):
        ask_model("smile", SPEECH, where)
    assert asked[0]["authorization"] == ["Bearer secret"] and "secret" not in json.dumps(asked[0]["messages"])
