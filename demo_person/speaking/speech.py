"""The voice: sentences through espeak-ng, with the time of every phoneme."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.signal import resample_poly

from gtalk.types import AUDIO_RATE

VOICE = "en-us+m3"
OTHER_VOICE = "en+f2"
SENTENCES = (
    (0.9, "Hello, and welcome. My name is Robin, and nobody has ever met me."),
    (0.7, "I was built from numbers, a few lamps, and plenty of patience."),
    (0.5, "Please bring me a bowl of warm plum pudding, maybe with some vanilla."),
    (1.0, "Five brave foxes very often found food above the frozen valley."),
    (0.6, "Father parked the car far from the calm harbour, behind a large barn."),
    (2.8, "She sells cheap shoes, and each of these fishes measures the treasure."),
    (0.5, "Think of three thin things that the other brother gathers together."),
    (0.4, "The quick red runner rarely wore the yellow wool sweater you like."),
    (0.7, "People pay by the hour, but my boss keeps the pub open about half past."),
    (2.2, "Oh, no! Those open windows show the whole cold road below."),
    (0.6, "Just a jug of good ginger tea, a cup of cake, and a big golden egg."),
    (0.8, "Maybe my mouth moves well, maybe it mumbles, but I hope you believe me."),
    (0.5, "That is all from me for now. Goodbye, and come back when the apples bloom."),
)
"""(pause before, text): what the demo person says."""
OTHER_SENTENCES = (
    (0.4, "Good evening. This voice was never heard by the face that you see."),
    (0.5, "Above the bay, forty paper boats moved slowly past a moonlit beach."),
    (0.4, "What a fine way to finish: a warm blue sky, and peace for everybody."),
)
"""What the other voice says, for a dub."""
CLIP_END_S = 1.0
WORDS_A_MINUTE = 162
_PHONEME, _WORD, _END = 7, 1, 0


@dataclass(frozen=True)
class Speech:
    """Sound with its phonemes."""

    samples: np.ndarray
    """[N] float32 at AUDIO_RATE."""
    names: list[str]
    """espeak-ng's phoneme mnemonics; "_" is a pause."""
    starts_s: np.ndarray
    ends_s: np.ndarray
    sentence_starts_s: np.ndarray


class _Identifier(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Identifier),
    ]


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@cache
def _start() -> tuple[ctypes.CDLL, int]:
    """The library, started: it hangs when started twice in a process. And its sample rate."""
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    retrieval, phoneme_events = 1, 1
    rate = library.espeak_Initialize(retrieval, 0, str(espeakng_loader.get_data_path()).encode(), phoneme_events)
    if rate <= 0:
        raise OSError("espeak-ng did not start")
    return library, rate


class Voice:
    """espeak-ng through its C interface. One at a time in a process."""

    def __init__(self, name: str) -> None:
        self._library, self.rate = _start()
        self._chunks: list[np.ndarray] = []
        self._events: list[tuple[int, str]] = []
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # it starts from the clock otherwise
        self._callback = _CALLBACK(self._receive)
        self._library.espeak_SetSynthCallback(self._callback)
        if self._library.espeak_SetVoiceByName(name.encode()) != 0:
            raise OSError(f"espeak-ng has no voice {name}")
        rate_parameter, range_parameter = 1, 4
        self._library.espeak_SetParameter(rate_parameter, WORDS_A_MINUTE, 0)
        self._library.espeak_SetParameter(range_parameter, 60, 0)

    def _receive(self, samples, count: int, events) -> int:
        if samples and count > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        i = 0
        while events[i].type != _END:
            if events[i].type == _PHONEME:
                name = events[i].id.string.decode("utf-8", "replace")
                self._events.append((events[i].audio_position, name))
            i += 1
        return 0

    def say(self, text: str) -> tuple[np.ndarray, list[tuple[float, str]]]:
        """Samples in [-1, 1] at `rate`, and (seconds, mnemonic) at which each phoneme starts."""
        self._chunks.clear()
        self._events.clear()
        raw = text.encode() + b"\0"
        utf8, from_characters = 1, 1
        self._library.espeak_Synth(raw, len(raw), 0, from_characters, 0, utf8, None, None)
        self._library.espeak_Synchronize()
        samples = np.concatenate(self._chunks).astype(np.float64) / 32768
        return samples, [(position / 1000, name) for position, name in self._events]


def speak(sentences: tuple[tuple[float, str], ...], voice: str, end_s: float = CLIP_END_S) -> Speech:
    """All sentences with their pauses, at AUDIO_RATE. Every time is that of the returned samples."""
    speaker = Voice(voice)
    parts: list[np.ndarray] = []
    names, starts, sentence_starts = [], [], []
    at = 0
    for pause_s, text in sentences:
        parts.append(np.zeros(round(pause_s * speaker.rate)))
        at += len(parts[-1])
        samples, events = speaker.say(text)
        trailing = len(samples) - np.flatnonzero(np.abs(samples) > 1e-4)[-1]
        samples = samples[: len(samples) - max(0, trailing - round(0.05 * speaker.rate))]
        begin = at / speaker.rate
        sentence_starts.append(begin)
        for time_s, name in events:
            if time_s < len(samples) / speaker.rate:
                starts.append(begin + time_s)
                names.append("_" if name.startswith("_") or not name else name)
        parts.append(samples)
        at += len(samples)
        starts.append(at / speaker.rate)
        names.append("_")
    parts.append(np.zeros(round(end_s * speaker.rate)))
    joined = np.concatenate(parts)
    divisor = np.gcd(AUDIO_RATE, speaker.rate)
    samples = resample_poly(joined, AUDIO_RATE // divisor, speaker.rate // divisor)
    samples = samples * (0.7 / np.abs(samples).max())
    ends = np.append(starts[1:], len(samples) / AUDIO_RATE)
    return Speech(samples.astype(np.float32), names, np.array(starts), ends, np.array(sentence_starts))


def loudness(samples: np.ndarray, times_s: np.ndarray, window_s: float = 0.08) -> np.ndarray:
    """[T] smoothed level at instants, about 0 to 1."""
    width = round(window_s * AUDIO_RATE)
    power = np.convolve(samples.astype(np.float64) ** 2, np.hanning(width) / np.hanning(width).sum(), "same")
    level = np.sqrt(np.maximum(power, 0))
    index = np.clip((times_s * AUDIO_RATE).astype(int), 0, len(level) - 1)
    return level[index] / max(np.quantile(level, 0.97), 1e-9)
