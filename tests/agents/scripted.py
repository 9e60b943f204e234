"""A model and a voice that do as a script says: an endpoint on this machine, streaming, slow, dead or hostile."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import numpy as np

from gtalk.errors import UserError
from gtalk.types import AUDIO_RATE
from gtalk.voice.utterance import Utterance, words_by_length

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
Script = bytes | Callable[[socket.socket, threading.Event], None]


def event(text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": {"content": text}}]}).encode() + b"\n\n"


def stream(*pieces: str) -> bytes:
    """The whole of a streamed answer."""
    return HEAD + b"".join(map(event, pieces)) + b"data: [DONE]\n\n"


def dripping(text: str, each_s: float = 0.02) -> Script:
    """A word at a time, for ever after in silence."""

    def script(client: socket.socket, gone: threading.Event) -> None:
        client.sendall(HEAD)
        for word in text.split():
            client.sendall(event(word + " "))
            gone.wait(each_s)
        client.settimeout(20)
        gone.wait(0.01 if client.recv(1) == b"" else 20)  # until who asks hangs up

    return script


def silent(client: socket.socket, gone: threading.Event) -> None:
    gone.wait(20)


@contextmanager
def endpoint(*scripts: Script) -> Iterator[tuple[str, list[dict], list[bool]]]:
    """A server that answers the n-th request with the n-th script: its address, what it was asked, which hung up."""
    asked: list[dict] = []
    left: list[bool] = []
    listener, over = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def serve(script: Script, client: socket.socket) -> None:
        with client, suppress(OSError):
            asked.append(_request(client))
            client.sendall(script) if isinstance(script, bytes) else script(client, over)
        left.append(not over.is_set())

    def accept() -> None:
        for script in scripts:
            with suppress(OSError):
                client, _ = listener.accept()
                threading.Thread(target=serve, args=(script, client), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1", asked, left
    finally:
        over.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _request(client: socket.socket) -> dict:
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    lines = [line.lower() for line in head.split(b"\r\n")]
    length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length"))
    while len(body) < length:
        body += client.recv(65536)
    path = head.split(b" ")[1].decode()
    return {"path": path, **json.loads(body)} if body.startswith(b"{") else {"path": path, "body": body}


class ToyVoice:
    """Says a tone of 60 ms a letter; fails at `unspeakable`."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def say(self, text: str) -> Utterance:
        self.texts.append(text)
        if "unspeakable" in text:
            raise UserError("voice", expected="a word", got="another", remedy="Say it otherwise.")
        times_s = np.arange(round(0.06 * len(text) * AUDIO_RATE)) / AUDIO_RATE
        samples = (0.3 * np.sin(2 * np.pi * 200 * times_s)).astype(np.float32)
        return Utterance(text, samples, words_by_length(text, samples))


class ScriptedModel:
    """A ChatModel without a line: each answer is a list of pieces."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[list[dict]] = []

    def answer(self, messages) -> ScriptedAnswer:
        self.asked.append(list(messages))
        return ScriptedAnswer(self._answers.pop(0))


class ScriptedAnswer:
    def __init__(self, pieces: Sequence[str]) -> None:
        self._pieces, self.cancelled = pieces, False

    def __iter__(self) -> Iterator[str]:
        return iter(self._pieces)

    def cancel(self) -> None:
        self.cancelled = True
