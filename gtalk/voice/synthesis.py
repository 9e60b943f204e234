"""Text to speech: espeak-ng with no download (extra `speech`), and Piper where it is installed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from gtalk.errors import UserError
from gtalk.shapes import Float
from gtalk.speech.known_phones import KnownPhones
from gtalk.types import AUDIO_RATE
from gtalk.voice.process import NativeSpeech
from gtalk.voice.utterance import Utterance, words_at

MAX_TEXT = 2000  # characters said at once
MOST_SPEECH_S = 300.0
"""Of one text. Most of MAX_TEXT characters take two minutes; 2000 pictographs, which are said by name, an hour."""
ESPEAK_VOICES = ("en-us", "en-gb", "de", "fr-fr", "es", "it", "pt", "nl", "pl", "ru", "tr", "hi", "ja", "cmn")
_NAMED = {"en-gb": "en", "fr-fr": "fr"}
"""Languages that espeak-ng has by a shorter name."""
PIPER = "Piper"
_VOICE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{1,8}){0,3}(\+[A-Za-z0-9]{1,16})?")
"""A language and a variant. Anything else is not handed to espeak-ng, which copies names into buffers unchecked."""
_espeak = NativeSpeech("espeak")


class Speaker:
    """Says texts. `voices` are the names that `say` takes, the first is the default.

    Args:
        piper_voice: a Piper voice (.onnx with its .onnx.json beside it); needs the package piper-tts.
    """

    def __init__(self, piper_voice: Path | None = None) -> None:
        self._piper = None if piper_voice is None else _load_piper(piper_voice)
        self.voices = ESPEAK_VOICES if self._piper is None else (PIPER, *ESPEAK_VOICES)

    def say(self, text: str, voice: str = "") -> Float[np.ndarray, " N"]:
        """Speech of a text, mono at AUDIO_RATE. Raises UserError as `speak` does, and for a voice not in `voices`."""
        if len(text) > MAX_TEXT:
            raise UserError("text", expected=f"at most {MAX_TEXT} characters", got=str(len(text)), remedy="Split it.")
        voice = voice or self.voices[0]
        if voice not in self.voices:
            raise _unknown(voice, f"one of {', '.join(self.voices)}")
        if voice == PIPER and self._piper is not None:
            return _samples(*_asked(self._piper, {"text": text, "most_s": MOST_SPEECH_S}))
        return speak(text, voice)


def speak(text: str, voice: str = "en-us", words_per_minute: int = 165) -> Float[np.ndarray, " N"]:
    """Speech of a text, mono at AUDIO_RATE.

    Raises UserError for an unknown voice, a missing library, a text that takes longer than MOST_SPEECH_S, and where the
    synthesiser dies of it.
    """
    return speak_with_phones(text, voice, words_per_minute)[0]


def speak_with_phones(
    text: str, voice: str = "en-us", words_per_minute: int = 165
) -> tuple[Float[np.ndarray, " N"], KnownPhones]:
    """Speech of a text, and when each of its phones sounds. Raises UserError as `speak` does."""
    said = utter(text, voice, words_per_minute)
    assert said.phones is not None  # espeak-ng tells
    return said.samples, said.phones


def utter(text: str, voice: str = "en-us", words_per_minute: int = 165) -> Utterance:
    """What espeak-ng says, and when each word and phone sounds. Raises UserError as `speak` does."""
    if not _VOICE.fullmatch(voice):
        raise _unknown(voice)
    language, plus, variant = voice.partition("+")
    named = _NAMED.get(language, language) + plus + variant
    question = {"text": text, "voice": named, "words_per_minute": words_per_minute, "most_s": MOST_SPEECH_S}
    facts, pcm = _asked(_espeak, question)
    starts_s, samples = facts["starts_s"], _samples(facts, pcm)
    end_s = max(len(pcm) / 2 / facts["rate"], *starts_s[-1:], 0.0)
    ends_s = [*starts_s[1:], end_s][: len(starts_s)]
    words = words_at(text, [(int(place), float(start_s)) for place, start_s in facts["words"]], end_s)
    return Utterance(text, samples, words, KnownPhones.of_ipa(facts["phones"], starts_s, ends_s))


def _asked(engine: NativeSpeech, question: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    facts, pcm = engine.ask(question)
    match facts.get("error"):
        case None:
            return facts, pcm
        case "voice":
            raise _unknown(question["voice"])
        case "long":
            raise UserError("text", expected=f"what is said in {MOST_SPEECH_S:g} s", got="more", remedy="Split it.")
        case "missing":
            raise UserError("text to speech", expected="the package espeakng-loader", got="none",
                            remedy="pip install 'gtalk[speech]'")  # fmt: skip
    raise RuntimeError(f"the synthesiser: {facts}")


def _samples(facts: dict[str, Any], pcm: bytes) -> Float[np.ndarray, " N"]:
    import soxr

    sound = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
    return soxr.resample(sound, facts["rate"], AUDIO_RATE).astype(np.float32)


def _unknown(voice: str, expected: str = "a voice of espeak-ng, such as en-us, de, fr-fr") -> UserError:
    return UserError("voice", expected=expected, got=repr(voice[:40]), remedy="Choose another.")


def _load_piper(voice: Path) -> NativeSpeech:
    engine = NativeSpeech("piper", str(voice), patience_s=60.0)
    facts, _ = engine.ask()
    if facts.get("error") == "missing":
        raise UserError("--piper-voice", expected="the package piper-tts", got="none",
                        remedy="pip install piper-tts, or leave it out to use espeak-ng.")  # fmt: skip
    if "error" in facts:
        raise UserError(f"--piper-voice {voice}", expected="a Piper voice with its .onnx.json beside it",
                        got=str(facts["words"]), remedy="Download both files of the voice.")  # fmt: skip
    return engine
