"""Text to speech: espeak-ng with no download (extra `speech`), and Piper where it is installed."""

from __future__ import annotations

import ctypes
import threading
from pathlib import Path
from typing import Any

import numpy as np

from gtalk.errors import UserError
from gtalk.shapes import Float
from gtalk.speech.known_phones import KnownPhones
from gtalk.types import AUDIO_RATE

MAX_TEXT = 2000  # characters said at once
ESPEAK_VOICES = ("en-us", "en-gb", "de", "fr-fr", "es", "it", "pt", "nl", "pl", "ru", "tr", "hi", "ja", "cmn")
PIPER = "Piper"
_PHONES_IN_IPA = 3  # espeakINITIALIZE_PHONEME_EVENTS | espeakINITIALIZE_PHONEME_IPA
_PHONE_EVENT, _LAST_EVENT = 7, 0
_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: samples go to the callback, none to a sound card
_UTF8 = 1


class _Identifier(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int),
        ("length", ctypes.c_int), ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p), ("id", _Identifier),
    ]  # fmt: skip


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
_lock = threading.Lock()  # the library is one global voice
_loaded: list[tuple[ctypes.CDLL, int]] = []


class Speaker:
    """Says texts. `voices` are the names that `say` takes, the first is the default.

    Args:
        piper_voice: a Piper voice (.onnx with its .onnx.json beside it); needs the package piper-tts.
    """

    def __init__(self, piper_voice: Path | None = None) -> None:
        self._piper = None if piper_voice is None else _load_piper(piper_voice)
        self.voices = ESPEAK_VOICES if self._piper is None else (PIPER, *ESPEAK_VOICES)

    def say(self, text: str, voice: str = "") -> Float[np.ndarray, " N"]:
        """Speech of a text, mono at AUDIO_RATE. Raises UserError for an unknown voice or a missing library."""
        if len(text) > MAX_TEXT:
            raise UserError("text", expected=f"at most {MAX_TEXT} characters", got=str(len(text)), remedy="Split it.")
        voice = voice or self.voices[0]
        if voice == PIPER and self._piper is not None:
            return _piper_speech(self._piper, text)
        return speak(text, voice)


def _load_piper(voice: Path) -> Any:
    try:
        from piper import PiperVoice
    except ImportError as error:
        raise UserError("--piper-voice", expected="the package piper-tts", got="none",
                        remedy="pip install piper-tts, or leave it out to use espeak-ng.") from error  # fmt: skip
    try:
        return PiperVoice.load(str(voice))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise UserError(f"--piper-voice {voice}", expected="a Piper voice with its .onnx.json beside it",
                        got=str(error), remedy="Download both files of the voice.") from error  # fmt: skip


def _piper_speech(piper: Any, text: str) -> np.ndarray:
    import soxr

    chunks = list(piper.synthesize(text))
    if not chunks:
        return np.zeros(0, np.float32)
    pcm = np.concatenate([np.frombuffer(chunk.audio_int16_bytes, "<i2") for chunk in chunks])
    return soxr.resample(pcm.astype(np.float32) / 32768, chunks[0].sample_rate, AUDIO_RATE).astype(np.float32)


def speak(text: str, voice: str = "en-us", words_per_minute: int = 165) -> Float[np.ndarray, " N"]:
    """Speech of a text, mono at AUDIO_RATE. Raises UserError for an unknown voice or a missing library."""
    return speak_with_phones(text, voice, words_per_minute)[0]


def speak_with_phones(
    text: str, voice: str = "en-us", words_per_minute: int = 165
) -> tuple[Float[np.ndarray, " N"], KnownPhones]:
    """Speech of a text, and when each of its phones sounds. Raises UserError as `speak` does."""
    import soxr

    with _lock:
        library, rate = _library()
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise UserError(
                "voice", expected="a voice of espeak-ng, such as en-us, de, fr-fr", got=voice, remedy="Check it."
            )
        library.espeak_SetParameter(1, words_per_minute, 0)
        pieces: list[np.ndarray] = []
        phones: list[str] = []
        starts_s: list[float] = []

        def collect(samples, count: int, events) -> int:
            if samples and count > 0:
                pieces.append(np.ctypeslib.as_array(samples, (count,)).astype(np.float32) / 32768)
            i = 0
            while events[i].type != _LAST_EVENT:
                if events[i].type == _PHONE_EVENT:
                    phones.append(events[i].id.string.decode("utf-8", "ignore"))
                    starts_s.append(events[i].audio_position / 1000)
                i += 1
            return 0

        callback = _CALLBACK(collect)
        library.espeak_SetSynthCallback(callback)
        data = text.encode()
        library.espeak_Synth(data, ctypes.c_size_t(len(data) + 1), 0, 1, 0, _UTF8, None, None)
        library.espeak_Synchronize()
    sound = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    ends_s = [*starts_s[1:], max(len(sound) / rate, *starts_s[-1:], 0.0)][: len(starts_s)]
    return soxr.resample(sound, rate, AUDIO_RATE).astype(np.float32), KnownPhones.of_ipa(phones, starts_s, ends_s)


def _library() -> tuple[ctypes.CDLL, int]:
    if not _loaded:
        try:
            import espeakng_loader
        except ImportError as error:
            raise UserError("text to speech", expected="the package espeakng-loader", got="none",
                            remedy="pip install 'gtalk[speech]'") from error  # fmt: skip
        library = ctypes.CDLL(espeakng_loader.get_library_path())
        rate = library.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), _PHONES_IN_IPA)
        if rate <= 0:
            raise RuntimeError("espeak-ng did not start")
        _loaded.append((library, rate))
    return _loaded[0]
