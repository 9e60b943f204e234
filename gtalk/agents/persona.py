"""Who talks: a persona, the file `persona.yaml`.

prompt: You are Robin, who keeps bees. Answer in one or two short sentences.
voice: en-gb
emotion: warm .3          # a tag: what the face wears when nothing else is asked for
greeting: "[smile] Hello! Ask me about bees."
"""

from __future__ import annotations

import difflib
import typing
from dataclasses import dataclass, fields
from pathlib import Path

from gtalk.direct.directors.tags import Tag, check_tags, split_tags
from gtalk.errors import UserError
from gtalk.reading.plain_yaml import parse_yaml
from gtalk.reading.untrusted import read_text
from gtalk.voice.synthesis import MAX_TEXT
from gtalk.voice.voices import open_voice

MOST_PROMPT = 20_000
_PACE, _WARMTH = (60, 400), (0.0, 2.0)


@dataclass(frozen=True)
class Persona:
    """What a conversation begins with. Raises UserError for what cannot be."""

    prompt: str = "You are a friendly person in a video call. Answer in one to three short sentences."
    """Who the model is to be; what it needs to know of speaking aloud is added."""
    voice: str = ""
    """As of `gtalk say`: a language of espeak-ng, a Piper voice, an endpoint, cmd:PROGRAM."""
    style: str = ""
    """How the voice speaks, in words: `calm, a little amused`. For endpoints that take it; other voices know none."""
    words_per_minute: int = 165
    """How fast espeak-ng speaks."""
    emotion: str = ""
    """A tag without its brackets, as `smile .3`: held where the answer asks for nothing else."""
    greeting: str = ""
    """Said when somebody comes; tags are obeyed."""
    apology: str = "Sorry, I lost my thread. Could you say that again?"
    """Said when the model or its line fails."""
    temperature: float = 0.7

    def __post_init__(self) -> None:
        most_letters = {"prompt": MOST_PROMPT, "greeting": MAX_TEXT, "apology": MAX_TEXT, "emotion": 80, "style": 500}
        for name, most in most_letters.items():
            if len(getattr(self, name)) > most:
                raise _wrong(name, f"at most {most} letters", str(len(getattr(self, name))))
        for name, (low, high) in (("words_per_minute", _PACE), ("temperature", _WARMTH)):
            if not low <= getattr(self, name) <= high:
                raise _wrong(name, f"{low:g} to {high:g}", str(getattr(self, name)))
        open_voice(self.voice, self.words_per_minute)
        if self.emotion:
            check_tags([Tag(self.emotion.lower(), 0)])
        check_tags(split_tags(self.greeting)[1])

    @staticmethod
    def load(path: Path) -> Persona:
        """Read a `persona.yaml`. Raises UserError with the entry at fault."""
        try:
            content = parse_yaml(read_text(Path(path), 4 * MOST_PROMPT))
        except (OSError, ValueError) as error:
            raise UserError(f"persona {path}", expected="a readable YAML file", got=f"{type(error).__name__}: {error}",
                            remedy="Check the path; docs/guides/conversation.md shows one.") from error  # fmt: skip
        return Persona.of(content)

    @staticmethod
    def of(content: object) -> Persona:
        """From plain values as in the file. Raises UserError with the entry at fault."""
        if not isinstance(content, dict):
            raise _wrong("", "a mapping such as `prompt: You are Robin.`", type(content).__name__)
        kinds = typing.get_type_hints(Persona)
        known = [field.name for field in fields(Persona)]
        values = dict(content)
        for name, value in content.items():
            if name not in known:
                near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.4)
                remedy = f"Did you mean `{near[0]}`?" if near else "Remove it."
                raise UserError(f"persona: {str(name)[:40]}", expected=f"one of {', '.join(known)}",
                                got="an unknown key", remedy=remedy)  # fmt: skip
            if kinds[name] is float and type(value) is int:
                values[name] = float(value)
            elif type(value) is not kinds[name]:
                words = {str: "text", int: "a whole number", float: "a number"}[kinds[name]]
                raise _wrong(name, words, repr(value)[:60])
        return Persona(**values)


def _wrong(name: str, expected: str, got: str) -> UserError:
    what = f"persona: {name}" if name else "persona"
    return UserError(what, expected=expected, got=got, remedy="Mend the entry; docs/guides/conversation.md has one.")
