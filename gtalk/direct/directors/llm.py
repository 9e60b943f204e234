"""A language model as a director: any endpoint that speaks OpenAI's chat completions.

It gets the words with their times and the list of tracks; its answer is checked like a stranger's file. It cannot name
files: keys are not for it. The instruction and the words are sent to the address that was given, and nowhere else.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

from gtalk.direct.directors.speech import Speech
from gtalk.direct.score import SCORE_VERSION, Event, Score
from gtalk.direct.tracks import TRACKS
from gtalk.errors import UserError
from gtalk.reading.endpoint import Call
from gtalk.reading.untrusted import parse_json
from gtalk.rig.expression import REGIONS, names

KEY_VARIABLE = "GTALK_LLM_KEY"
"""Environment variable whose value is sent as the bearer token."""
MOST_EVENTS = 500
_ATTEMPTS = 2


@dataclass(frozen=True)
class ModelEndpoint:
    """Where a model is asked."""

    url: str
    """Its base, as `http://localhost:11434/v1`."""
    model: str
    timeout_s: float = 60.0
    """For one answer, from the first byte sent to the last received."""

    def call(self) -> Call:
        """A request for a chat completion."""
        url = self.url.rstrip("/") + "/chat/completions"
        return Call(url, "--llm", "an OpenAI-compatible endpoint that answers", self.timeout_s, KEY_VARIABLE)


def ask_model(instruction: str, speech: Speech, endpoint: ModelEndpoint) -> list[Event]:
    """Events that a model writes for an instruction. A wrong answer is sent back once with what is wrong.

    Raises UserError when the endpoint is dead, slow, or answers with what is no score.
    """
    messages = [
        {"role": "system", "content": _rules(speech)},
        {"role": "user", "content": instruction},
    ]
    error: UserError | None = None
    for _ in range(_ATTEMPTS):
        answer = _content(complete(endpoint, messages), endpoint)
        try:
            return _events(answer, speech, endpoint)
        except UserError as wrong:
            error = wrong
            messages += [
                {"role": "assistant", "content": answer[:4000]},
                {"role": "user", "content": f"That is refused: {wrong}. Answer with the corrected JSON only."},
            ]
    assert error is not None
    raise UserError(f"answer of {endpoint.model}", expected="events of a score as JSON", got=str(error)[:300],
                    remedy="Say it in other words, use another model, or leave --llm out.") from error  # fmt: skip


def complete(endpoint: ModelEndpoint, messages: list[dict[str, str]]) -> str:
    """The body that the endpoint answers with. Raises UserError for what is no answer, within the endpoint's time."""
    asked = {"model": endpoint.model, "messages": messages, "temperature": 0, "stream": False}
    call = endpoint.call()
    return b"".join(call.post(json.dumps(asked).encode(), "application/json")).decode("utf-8", "replace")


def _content(body: str, endpoint: ModelEndpoint) -> str:
    try:
        content = parse_json(body)["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise endpoint.call().failed(f"no chat completion ({type(error).__name__})", "Check the address.") from error
    if not isinstance(content, str):
        raise endpoint.call().failed("a message without text", "Use another model.")
    return content


def _events(answer: str, speech: Speech, endpoint: ModelEndpoint) -> list[Event]:
    """Events of an answer. Raises UserError with what is wrong."""
    try:
        value = parse_json(_without_words_around(answer))
    except ValueError as error:
        raise UserError("the answer", expected="JSON", got=str(error)[:120], remedy="Answer with JSON only.") from error
    entries = value.get("events") if isinstance(value, dict) else value
    if not isinstance(entries, list) or len(entries) > MOST_EVENTS:
        raise UserError("the answer", expected=f'{{"events": [..]}} with at most {MOST_EVENTS} events',
                        got=type(entries).__name__, remedy="Answer with JSON only.")  # fmt: skip
    for entry in entries:
        if isinstance(entry, dict) and str(entry.get("track", "")).startswith("key."):
            raise UserError(
                "the answer", expected="no keys", got=str(entry.get("track"))[:40], remedy="Leave keys out."
            )
    score = Score.of({"version": SCORE_VERSION, "events": entries, "words": speech.words.plain()}, "the answer")
    score.check_length(speech.duration_s, "the answer")
    return [dataclasses.replace(event, by=f"llm {endpoint.model}"[:60]) for event in score.events]


def _without_words_around(answer: str) -> str:
    """From the first bracket to the last: models like to put a sentence or a fence around it."""
    begin = min((at for at in map(answer.find, "[{") if at >= 0), default=0)
    end = max(map(answer.rfind, "]}"))
    return answer[begin : end + 1] if end > begin else answer


def _rules(speech: Speech) -> str:
    tracks = "\n".join(
        f"{t.name}: {t.says}; {t.low:g} to {t.high:g} {t.unit}{', takes `times`' if t.kind == 'swing' else ''}"
        for t in TRACKS
        if t.kind != "key"
    )
    words = " ".join(f"{word.text}@{word.start_s:.2f}-{word.end_s:.2f}" for word in speech.words)
    return f"""You direct the face of a speaker. Answer with one JSON object and nothing else:
{{"events": [{{"track": "emotion.smile", "value": 0.6, "start": 1.2, "end": 2.0}},
 {{"track": "head.nod", "times": 2, "at": "finally"}}]}}
Times are seconds from 0 to {speech.duration_s:.2f}. `at` pins an event to a spoken word instead of start and end.
Tracks:
{tracks}
Members of emotion.*: {", ".join(names())}
Members of region.*: {", ".join(REGIONS)}; their value is text such as "sad:0.8"
Left and right are those of the picture: negative is left. Ask for nothing that was not asked for; few events are best.
Spoken words: {words or "unknown"}"""
