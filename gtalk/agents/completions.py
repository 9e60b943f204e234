"""A language model that answers while it thinks: streamed chat completions of any endpoint like OpenAI's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from gtalk.direct.directors.llm import KEY_VARIABLE
from gtalk.reading.endpoint import Call
from gtalk.reading.untrusted import parse_json

PATIENCE_S = 60.0
MOST_LETTERS = 8_000
"""Of one answer: what is said in eight minutes."""
_LONGEST_LINE = 1_000_000
_OPEN, _CLOSE = "<think>", "</think>"

Message = dict[str, str]
"""{"role": "system" | "user" | "assistant", "content": ..}."""


@runtime_checkable
class Answer(Protocol):
    """An answer that comes in pieces."""

    def __iter__(self) -> Iterator[str]:
        """The pieces of its text. Raises UserError when the model fails."""
        ...

    def cancel(self) -> None:
        """No more is wanted; from any thread."""
        ...


@runtime_checkable
class ChatModel(Protocol):
    """Answers a conversation."""

    def answer(self, messages: Sequence[Message]) -> Answer:
        """The next message of the assistant, of which nothing is asked before it is iterated."""
        ...


@dataclass(frozen=True)
class ChatEndpoint:
    """An endpoint that streams chat completions."""

    url: str
    """Its base, as `http://localhost:11434/v1`."""
    model: str
    temperature: float = 0.7
    patience_s: float = PATIENCE_S
    """For one answer, from the first byte sent to the last received."""

    def answer(self, messages: Sequence[Message]) -> StreamedAnswer:
        """See `ChatModel`."""
        asked = {
            "model": self.model, "messages": list(messages), "temperature": self.temperature, "stream": True,
            "max_tokens": MOST_LETTERS // 4,
        }  # fmt: skip
        url = self.url.rstrip("/") + "/chat/completions"
        call = Call(
            url, "--llm", "an OpenAI-compatible endpoint that answers", self.patience_s, KEY_VARIABLE, 8 * _LONGEST_LINE
        )
        return StreamedAnswer(call, json.dumps(asked).encode())


class StreamedAnswer:
    """One answer under way; an `Answer`. At most MOST_LETTERS of it are heard, and no <think>ing."""

    def __init__(self, call: Call, body: bytes) -> None:
        self._call, self._body = call, body

    def cancel(self) -> None:
        """See `Answer`."""
        self._call.cancel()

    def __iter__(self) -> Iterator[str]:
        """See `Answer`; raises UserError as it does."""
        left = MOST_LETTERS
        for piece in without_thoughts(self._pieces()):
            yield piece[:left]
            left -= len(piece)
            if left <= 0:
                return
        if left == MOST_LETTERS and not self._call.cancelled:
            raise self._call.failed("an answer without text", "Ask again, or use another model.")

    def _pieces(self) -> Iterator[str]:
        for line in _lines(self._call.post(self._body, "application/json", "text/event-stream"), self._call):
            if line.startswith("data:"):
                data = line[5:].strip()
            elif line.startswith("{"):  # a server that does not stream
                data = line
            else:
                continue
            if data == "[DONE]":
                return
            yield _text_of(data, self._call)


def without_thoughts(pieces: Iterator[str]) -> Iterator[str]:
    """The text between <think> and </think> left out, however the pieces fall."""
    held, thinking = "", False
    for piece in pieces:
        held += piece
        while True:
            mark = _CLOSE if thinking else _OPEN
            before, found, after = held.partition(mark)
            if found:
                if before and not thinking:
                    yield before
                held, thinking = after, not thinking
                continue
            keep = next((n for n in range(len(mark) - 1, 0, -1) if held.endswith(mark[:n])), 0)  # may become the mark
            said, held = held[: len(held) - keep], held[len(held) - keep :]
            if said and not thinking:
                yield said
            break
    if held and not thinking:
        yield held


def _lines(pieces: Iterator[bytes], call: Call) -> Iterator[str]:
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        if len(rest) > _LONGEST_LINE:
            raise call.failed(f"a line of more than {_LONGEST_LINE} bytes", "Use another server.")
        for line in whole:
            yield line.decode("utf-8", "replace").strip()
    if rest.strip():
        yield rest.decode("utf-8", "replace").strip()


def _text_of(data: str, call: Call) -> str:
    """The text of one event. Raises UserError for what is none, and for an error that the server tells."""
    try:
        value = parse_json(data)
    except ValueError as error:
        raise call.failed(f"no chat completion ({str(error)[:80]})", "Check the address.") from error
    problem = _told(value)
    if problem is not None:
        raise call.failed(problem, "Check the model's name.")
    choices = value.get("choices") if isinstance(value, dict) else None
    if not isinstance(choices, list):
        raise call.failed("no chat completion", "Check the address.")
    first = choices[0] if choices and isinstance(choices[0], dict) else {}
    message = first.get("delta") or first.get("message") or {}
    content = message.get("content") if isinstance(message, dict) else None
    return content if isinstance(content, str) else ""


def _told(value: Any) -> str | None:
    error = value.get("error") if isinstance(value, dict) else None
    if not error:
        return None
    words = error.get("message") if isinstance(error, dict) else error
    return f"the error {str(words)[:200]!r}"
