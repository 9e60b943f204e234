"""The voice as a director: how much, from pitch, timbre and loudness against the speaker's own running neutral.

    phrases ─▶ semitones, tilt, decibels above neutral ─▶ arousal ─▶ with the words' valence: which, and how strong

A voice tells how aroused somebody is, hardly whether for joy or anger: which it is, the text says where there is one,
else the face is just livelier (`interested`). Slopes are set by hand from what acted speech does; false alarms are
worse than misses, so that calm and neutral voices give nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from gtalk.direct.directors.lexicon import lexicon
from gtalk.direct.directors.speech import Speech
from gtalk.direct.score import Event
from gtalk.motion.edits.emotion import VOICE_CAP
from gtalk.shapes import Float
from gtalk.speech.frontend import N_FFT, FrontEnd, RawFrames
from gtalk.speech.normalise import SpeechActivity
from gtalk.types import AUDIO_RATE

BY = "voice"
LEAST_S = 1.5
"""An expression lasts at least so long."""
_PAUSE_S, _SHORTEST_S = 0.25, 0.4
_PER_SEMITONE, _PER_TILT_DB, _PER_DB = 0.085, 0.04, 0.008
_NOTHING, _FULL = 0.3, 1.0  # arousal that shows nothing, and that shows all
_WHICH = {(1, True): "happy", (1, False): "smile", (0, True): "interested", (-1, True): "angry", (-1, False): "sad"}
_QUIET = 0.35  # share of the cap for a sad or a friendly text in a calm voice
_MEMORY_PHRASES = 12.0
_PERIODIC, _SPEECH = 0.75, 0.5
_RATE = 100.0
_PIECE = 10 * AUDIO_RATE
_FREQUENCIES = np.fft.rfftfreq(N_FFT, 1 / AUDIO_RATE)
_GOOD = ("happy", "smile", "grin", "tender", "interested")
_BAD = ("sad", "angry", "fearful", "disgusted", "worried", "pain", "contempt")


@dataclass(frozen=True)
class Phrase:
    """A stretch of speech between pauses, as it sounds."""

    start_s: float
    end_s: float
    semitones: float
    """Median pitch, above 100 Hz."""
    tilt_db: float
    """Strength of 1 to 4 kHz over that of 0.1 to 1 kHz."""
    level_db: float


class RunningNeutral:
    """How the speaker usually sounds: a mean over phrases in which aroused ones count little."""

    def __init__(self) -> None:
        self._mean = np.zeros(3)
        self._weight = 0.0

    def arousal(self, phrase: Phrase) -> float:
        """-1 to 1, against what was heard before; then the phrase is remembered. The first one is neutral."""
        now = np.array([phrase.semitones, phrase.tilt_db, phrase.level_db])
        above = now - self._mean if self._weight else np.zeros(3)
        arousal = float(np.clip(above @ [_PER_SEMITONE, _PER_TILT_DB, _PER_DB], -1.0, 1.0))
        count = (phrase.end_s - phrase.start_s) * (1.0 - 0.9 * min(1.0, max(0.0, arousal) / _NOTHING))
        self._weight = min(self._weight + count, _MEMORY_PHRASES)
        self._mean = self._mean + (count / max(self._weight, 1e-9)) * (now - self._mean)
        return arousal


def phrases_of(samples: Float[np.ndarray, " N"]) -> list[Phrase]:
    """Phrases of a sound (mono, AUDIO_RATE)."""
    front, activity = FrontEnd(), SpeechActivity()
    columns = []  # of each frame; spectra are let go piece by piece
    pieces = [samples[i : i + _PIECE] for i in range(0, len(samples), _PIECE)]
    for frames in (*(front.push(piece.astype(np.float32)) for piece in pieces), front.finish()):
        low, high = _band(frames, 100, 1000), _band(frames, 1000, 4000)
        semitones = 12.0 * np.log2(frames.f0_hz / 100.0)
        columns.append(np.stack([activity(frames)[0], frames.periodicity, low, high, semitones, frames.level_db]))
    active, periodicity, low, high, semitones, level = np.concatenate(columns, axis=1)
    active = active > _SPEECH
    voiced = active & (periodicity > _PERIODIC)
    out = []
    for first, last in _runs(active):
        mine = np.flatnonzero(voiced[first:last]) + first
        if (last - first) / _RATE >= _SHORTEST_S and len(mine) > 10:
            tilt = 10.0 * np.log10(np.median(high[mine] / np.maximum(low[mine], 1e-9)) + 1e-9)
            middle = float(np.median(semitones[mine]))
            out.append(Phrase(first / _RATE, last / _RATE, middle, float(tilt), float(np.median(level[mine]))))
    return out


def events_of_voice(
    samples: Float[np.ndarray, " N"], speech: Speech, neutral: RunningNeutral | None = None, cap: float = VOICE_CAP
) -> list[Event]:
    """Expressions that the voice asks for.

    Args:
        samples: mono, AUDIO_RATE.
        speech: its words, where they are known, tell joy from anger.
        neutral: how the speaker sounds, where more than this was heard.
        cap: strongest intensity.
    """
    neutral = neutral or RunningNeutral()
    asked: list[tuple[float, float, str, float]] = []
    for phrase in phrases_of(samples):
        name, intensity = _shown(neutral.arousal(phrase), _valence(speech, phrase), cap)
        end_s = min(max(phrase.end_s, phrase.start_s + LEAST_S), speech.duration_s)
        if asked and phrase.start_s - asked[-1][0] < LEAST_S and asked[-1][2]:
            name, intensity = asked[-1][2], max(intensity, asked[-1][3])  # no change of mind within the shortest time
        if asked and asked[-1][2] == name and abs(asked[-1][3] - intensity) < 0.12 and name:
            asked[-1] = (asked[-1][0], end_s, name, max(intensity, asked[-1][3]))
        elif end_s > phrase.start_s:
            asked.append((phrase.start_s, end_s, name, intensity))
    return [
        Event(f"emotion.{name}", round(intensity, 2), start_s, end_s, 0.4, 0.6, by=BY)
        for start_s, end_s, name, intensity in asked
        if name and intensity >= 0.05
    ]


def _shown(arousal: float, valence: int, cap: float) -> tuple[str, float]:
    share = np.clip((arousal - _NOTHING) / (_FULL - _NOTHING), 0.0, 1.0)
    if share > 0.0:
        return _WHICH[valence, True], float(cap * share)
    return (_WHICH[valence, False], cap * _QUIET) if valence else ("", 0.0)


def _valence(speech: Speech, phrase: Phrase) -> int:
    """What the words of a phrase say: 1 good, -1 bad, 0 neither."""
    total, negated = 0, 1
    for word in speech.words:
        if not phrase.start_s - 0.2 <= word.middle_s <= phrase.end_s + 0.2:
            continue
        plain = re.sub(r"[^a-z']", "", word.text.lower())
        named = lexicon().expressions.get(plain, "")
        good, bad = plain in lexicon().good or named in _GOOD, plain in lexicon().bad or named in _BAD
        total += negated * (int(good) - int(bad))
        negated = -1 if plain in ("not", "no", "don't", "isn't", "wasn't", "couldn't") else 1
    return (total > 0) - (total < 0)


def _band(frames: RawFrames, low_hz: float | int, high_hz: float | int) -> np.ndarray:
    return frames.power[:, (low_hz < _FREQUENCIES) & (high_hz >= _FREQUENCIES)].sum(1)


def _runs(active: np.ndarray) -> list[tuple[int, int]]:
    """[first, last) of stretches that shorter pauses do not interrupt."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], active.astype(int), [0]]))).reshape(-1, 2)
    out: list[tuple[int, int]] = []
    for first, last in edges.tolist():
        if out and first - out[-1][1] < _PAUSE_S * _RATE:
            out[-1] = (out[-1][0], last)
        else:
            out.append((first, last))
    return out
