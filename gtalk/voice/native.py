"""Synthesisers in a process of their own: what a stranger's text does to native code ends this program and no other.

    python -P native.py espeak | python -P native.py piper VOICE.onnx        run by gtalk.voice.process

stdout   first {"ready": true} or {"error": "missing" | "start", "words": ..}
stdin    {"text": .., "most_s": ..}, for espeak "voice" and "words_per_minute" too
stdout   {"rate": .., "bytes": n, "phones": [..], "starts_s": [..], "words": [[place in the text, start], ..]} and
         n bytes of 16-bit samples of one channel, or {"error": "voice" | "long"}

Each JSON is preceded by its length, u32. Imports nothing of gtalk: it starts in a few hundredths of a second.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import struct
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

_PHONES_IN_IPA = 3  # espeakINITIALIZE_PHONEME_EVENTS | espeakINITIALIZE_PHONEME_IPA
_PHONE_EVENT, _WORD_EVENT, _LAST_EVENT = 7, 1, 0
_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: samples go to the callback, none to a sound card
_UTF8 = 1
_RATE = 1  # the parameter of words a minute
_MOST_MEMORY = {"espeak": 1 << 30, "piper": 8 << 30}
_MOST_S = 60  # of work at one text; who asked gives up before

LENGTH = struct.Struct("<I")
Answer = tuple[dict[str, Any], bytes]
Say = Callable[[dict[str, Any]], Answer]


class _Identifier(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class Event(ctypes.Structure):
    """espeak_EVENT of espeak-ng's speak_lib.h."""

    _fields_ = [
        ("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int),
        ("length", ctypes.c_int), ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p), ("id", _Identifier),
    ]  # fmt: skip


CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event))


def main(engine: str, *options: str) -> int:
    """Answer until stdin ends."""
    _limit(_MOST_MEMORY[engine])
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    try:
        say = _piper(*options) if engine == "piper" else _espeak()
    except ImportError as error:
        _write(out, {"error": "missing", "words": str(error)})
        return 1
    except Exception as error:  # a voice that cannot be loaded, whatever its library says
        _write(out, {"error": "start", "words": f"{type(error).__name__}: {error}"})
        return 1
    _write(out, {"ready": True})
    while len(head := sys.stdin.buffer.read(LENGTH.size)) == LENGTH.size:
        asked = json.loads(sys.stdin.buffer.read(LENGTH.unpack(head)[0]))
        signal.alarm(_MOST_S)
        _write(out, *say(asked))
        signal.alarm(0)
    return 0


def _espeak() -> Say:
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), _PHONES_IN_IPA)
    if rate <= 0:
        raise OSError("espeak-ng did not start")

    def say(asked: dict[str, Any]) -> Answer:
        if library.espeak_SetVoiceByName(asked["voice"].encode("ascii", "replace")) != 0:
            return {"error": "voice"}, b""
        library.espeak_SetParameter(_RATE, asked["words_per_minute"], 0)
        return _spoken(library, rate, asked["text"], asked["most_s"])

    return say


def _spoken(library: ctypes.CDLL, rate: int, text: str, most_s: float) -> Answer:
    pieces: list[bytes] = []
    phones: list[str] = []
    starts_s: list[float] = []
    words: list[tuple[int, float]] = []
    left = round(most_s * rate)

    def collect(samples: Any, count: int, events: Any) -> int:
        nonlocal left
        if samples and count > 0:
            pieces.append(ctypes.string_at(samples, 2 * count))
            left -= count
        i = 0
        while events[i].type != _LAST_EVENT:
            if events[i].type == _PHONE_EVENT:
                phones.append(events[i].id.string.decode("utf-8", "ignore"))
                starts_s.append(events[i].audio_position / 1000)
            elif events[i].type == _WORD_EVENT:
                words.append((events[i].text_position - 1, events[i].audio_position / 1000))
            i += 1
        return int(left < 0)  # 1 ends it

    callback = CALLBACK(collect)
    library.espeak_SetSynthCallback(callback)
    data = text.encode("utf-8", "replace")
    library.espeak_Synth(data, ctypes.c_size_t(len(data) + 1), 0, 1, 0, _UTF8, None, None)
    library.espeak_Synchronize()
    if left < 0:
        return {"error": "long"}, b""
    sound = b"".join(pieces)
    return {"rate": rate, "bytes": len(sound), "phones": phones, "starts_s": starts_s, "words": words}, sound


def _piper(path: str) -> Say:
    from piper import PiperVoice

    voice: Any = PiperVoice.load(path)

    def say(asked: dict[str, Any]) -> Answer:
        pieces, rate, left = [], 16_000, float(asked["most_s"])
        for chunk in voice.synthesize(asked["text"]):
            pieces.append(chunk.audio_int16_bytes)
            rate = chunk.sample_rate
            left -= len(pieces[-1]) / 2 / rate
            if left < 0:
                return {"error": "long"}, b""
        sound = b"".join(pieces)
        return {"rate": rate, "bytes": len(sound), "phones": [], "starts_s": [], "words": []}, sound

    return say


def _write(out: BinaryIO, facts: dict[str, Any], sound: bytes = b"") -> None:
    head = json.dumps(facts).encode()
    out.write(LENGTH.pack(len(head)) + head + sound)
    out.flush()


def _limit(most_memory: int) -> None:
    """Bounded memory, no core file."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (most_memory, most_memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
