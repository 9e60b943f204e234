"""Voices by name: espeak-ng, Piper, an endpoint, a program.

    de                                        a language of espeak-ng (extra `speech`); the default is en-us
    ada.onnx                                  a Piper voice, with its .onnx.json beside it
    http://localhost:8880/v1/audio/speech     any endpoint like OpenAI's; `#af_heart` behind it names its voice
    cmd:my_tts --voice ada                    a program: the text on its stdin, a sound file on its stdout

Texts go nowhere but to the address that is named.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import textwrap
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urldefrag

import numpy as np

from gtalk.errors import UserError
from gtalk.media.audio import read_audio
from gtalk.reading.endpoint import Call
from gtalk.shapes import Float
from gtalk.voice.synthesis import MAX_TEXT, Speaker, utter
from gtalk.voice.utterance import Utterance, Voice, joined, words_by_length

KEY_VARIABLE = "GTALK_VOICE_KEY"
"""Environment variable whose value an endpoint gets as the bearer token."""
MODEL = "tts-1"
PATIENCE_S = 120.0
MOST_BYTES = 100_000_000
_SENTENCE_END = re.compile(r"(?<=[.!?…;。！？])\s+")


@dataclass(frozen=True)
class Espeak:
    """A language of espeak-ng, which tells when words and phones sound."""

    name: str = "en-us"
    words_per_minute: int = 165

    def say(self, text: str) -> Utterance:
        """See `Voice`; raises UserError as it does."""
        return utter(text, self.name, self.words_per_minute)


class Piper:
    """A neural voice of Piper, loaded when it is first asked."""

    def __init__(self, path: Path) -> None:
        """Raises UserError where there is no such file."""
        if not path.is_file():
            raise UserError("voice", expected="a Piper voice with its .onnx.json beside it", got=f"no file {path}",
                            remedy="Download both files of the voice.")  # fmt: skip
        self._path, self._speaker = path, None

    def say(self, text: str) -> Utterance:
        """See `Voice`; raises UserError as it does."""
        self._speaker = self._speaker or Speaker(self._path)
        return _estimated(text, self._speaker.say(text))


@dataclass(frozen=True)
class Endpoint:
    """A server that makes speech, asked as OpenAI's is."""

    url: str
    voice: str = "alloy"
    style: str = ""
    """How it is to speak, in words, for those that take it (`instructions`)."""
    patience_s: float = PATIENCE_S

    def say(self, text: str) -> Utterance:
        """See `Voice`; raises UserError as it does."""
        asked = {"model": MODEL, "input": text, "voice": self.voice, "response_format": "wav"}
        if self.style:
            asked["instructions"] = self.style
        who = Call(self.url, "voice", "an endpoint that answers with sound", self.patience_s, KEY_VARIABLE, MOST_BYTES)
        data = b"".join(who.post(json.dumps(asked).encode(), "application/json", "audio/wav, */*"))
        return _estimated(text, _sound(data, self.url))


@dataclass(frozen=True)
class Command:
    """A program that reads a text and writes a sound file. It runs without a shell."""

    words: tuple[str, ...]
    patience_s: float = PATIENCE_S

    def say(self, text: str) -> Utterance:
        """See `Voice`; raises UserError as it does."""
        name = f"voice cmd:{shlex.join(self.words)}"
        try:
            done = subprocess.run(
                self.words, input=text.encode(), capture_output=True, timeout=self.patience_s, check=True
            )
        except subprocess.CalledProcessError as error:
            words = error.stderr.decode(errors="replace").strip()[-300:]
            raise UserError(name, expected="a program that ends well", got=f"status {error.returncode}: {words}",
                            remedy="Try it by hand with the text on its stdin.") from error  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UserError(name, expected=f"a program that answers within {self.patience_s:g} s", got=str(error),
                            remedy="Try it by hand with the text on its stdin.") from error  # fmt: skip
        return _estimated(text, _sound(done.stdout, name))


def open_voice(name: str = "", words_per_minute: int = 165, style: str = "") -> Voice:
    """A voice by its name (see above). Raises UserError for one that cannot be.

    Args:
        words_per_minute: how fast espeak-ng speaks; other voices have their own pace.
        style: how an endpoint is to speak, in words; other voices know none.
    """
    if name.startswith(("http://", "https://")):
        url, voice = urldefrag(name)
        return Endpoint(url, voice or Endpoint.voice, style)
    if name.startswith("cmd:"):
        try:
            words = shlex.split(name.removeprefix("cmd:"))
        except ValueError:
            words = []
        if not words:
            raise UserError("voice", expected="a program behind cmd:", got=name, remedy="Quote it as a shell would.")
        return Command(tuple(words))
    if name.endswith(".onnx"):
        return Piper(Path(name))
    return Espeak(name or Espeak.name, words_per_minute)


def say_all(voice: Voice, text: str) -> Utterance:
    """A text of any length, clause by clause. Raises UserError where there is nothing to say."""
    sentences = _SENTENCE_END.split(text.strip())
    clauses = [part for sentence in sentences for part in textwrap.wrap(sentence, MAX_TEXT)]
    if not clauses:
        raise UserError("text", expected="something to say", got="nothing", remedy="Write a sentence.")
    # As few pieces as may be: a voice knows the melody of what it sees.
    pieces = [clauses[0]]
    for clause in clauses[1:]:
        if len(pieces[-1]) + 1 + len(clause) <= MAX_TEXT:
            pieces[-1] += f" {clause}"
        else:
            pieces.append(clause)
    return joined([voice.say(piece) for piece in pieces])


def _estimated(text: str, samples: Float[np.ndarray, " N"]) -> Utterance:
    return Utterance(text, samples, words_by_length(text, samples))


def _sound(data: bytes, where: str) -> Float[np.ndarray, " N"]:
    if not data or len(data) > MOST_BYTES:
        got = "nothing" if not data else f"more than {MOST_BYTES // 1_000_000} MB"
        raise UserError(where, expected="a sound file", got=got, remedy="Try it by hand.")
    with TemporaryDirectory(prefix="gtalk-") as folder:
        path = Path(folder) / "said"
        path.write_bytes(data)
        try:
            return read_audio(path).samples
        except UserError as error:
            raise UserError(where, expected="a sound file", got=f"{len(data)} bytes that are none",
                            remedy="It must answer with WAV, or what FFmpeg reads.") from error  # fmt: skip
