"""Conversations with exact truth: two real voices' phrases in turns, with pauses, overlaps, levels and a line.

python -m tools.bench.scene mixtures ASSETS [FIRST_SEED COUNT]
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from gtalk.hearing.diarise import found_turns
from gtalk.hearing.turns import Errors, Turn, errors_of, speech_spans
from gtalk.hearing.voiceprints import VoiceEncoder, encoder_at_hand
from gtalk.media.audio import read_audio
from gtalk.types import AUDIO_RATE

VOICES = {
    "jfk": ("speech/en_m_jfk_11s.flac",),
    "libri198": ("speech/en_f_librispeech_198_14s.ogg",),
    "libri3436": ("speech/en_librispeech_3436_17s.ogg",),
    "radio": ("speech/en_f_RD_Radio36_8s.wav",),
    "german": ("speech/de_f_deyu_9s.wav",),
    "french": ("speech/fr_f_fayu_7s.wav",),
    "chinese": ("speech/zh_news_8s.wav",),
    "anchor": ("clips/anchor_71s.mp4",),
    "grid": ("clips/grid_s1_val_60s.mp4",),
    "mandarin": ("clips/hair/woman_15s_900.mp4",),
    "wavy": ("clips/hair/woman_18s_256.wav",),
    "may": ("clips/may_short.mp4",),
    "man": ("clips/short_man_8s.mp4",),
    "woman": ("clips/short_woman_8s.mp4",),
    "mead": tuple(f"speech/emotion/mead/M030_{name}.m4a" for name in ("angry", "contempt", "neutral")),
    "comic1": ("clips/conversation/vovitpage_comedy_speaker1_estimated.mp4",),
    "comic2": ("clips/conversation/vovitpage_comedy_speaker2_estimated.mp4",),
    "pose": ("clips/nonfrontal_moving/misc_Input_00098.mp4",),
    "pose2": ("clips/nonfrontal_moving/misc_Audio_Source_681100216.mp4",),
}
"""By speaker, files below the folder of assets. None of them is the sample that is measured in the end."""
_LEAST_S, _LENGTH_S = 5.0, (20.0, 40.0)
_GAP_S, _OVERLAP_P, _OVERLAP_S = (0.0, 0.9), 0.3, (0.1, 0.7)
_LEVEL_DB, _NOISE_DB = 4.0, (-38.0, -26.0)
_LINE_P, _LINE_HZ = 0.5, (300.0, 3400.0)  # a telephone


@dataclass(frozen=True)
class Mixture:
    """A conversation."""

    name: str
    samples: np.ndarray
    turns: list[Turn]

    @property
    def duration_s(self) -> float:
        """Of the sound."""
        return len(self.samples) / AUDIO_RATE


def mixtures(assets: Path, first: int, count: int) -> Iterator[Mixture]:
    """One for each seed."""
    usable = [
        name for name, files in VOICES.items() if sum(len(p) for p in _phrases(assets, files)) > _LEAST_S * AUDIO_RATE
    ]
    for seed in range(first, first + count):
        rng = np.random.default_rng([seed, 22])
        pair = [str(name) for name in rng.choice(usable, 2, replace=False)]
        yield _mixture(f"{seed} {pair[0]}+{pair[1]}", [_phrases(assets, VOICES[name]) for name in pair], rng)


@lru_cache(maxsize=64)
def _phrases(assets: Path, files: tuple[str, ...]) -> list[np.ndarray]:
    """What a voice says between pauses, in pieces of some seconds, each phrase of one loudness."""
    out = []
    for file in files:
        samples = read_audio(assets / file).samples
        for a, b in speech_spans([samples], 0.25):
            part = samples[round(a * AUDIO_RATE) : round(b * AUDIO_RATE)]
            part = part * (0.08 / max(float(np.sqrt(np.mean(part**2))), 1e-4))
            out += np.array_split(part, max(1, round(len(part) / (2.5 * AUDIO_RATE))))
    return out


def _mixture(name: str, voices: list[list[np.ndarray]], rng: np.random.Generator) -> Mixture:
    total = round(rng.uniform(*_LENGTH_S) * AUDIO_RATE)
    levels = 10.0 ** (rng.uniform(-_LEVEL_DB, _LEVEL_DB, 2) / 20.0)
    # Each phrase may come again once: short recordings would give no conversation.
    order = [[*rng.permutation(len(voice)), *rng.permutation(len(voice))] for voice in voices]
    sound, turns, at, who = np.zeros(total), [], round(0.3 * AUDIO_RATE), int(rng.integers(2))
    while at < total - AUDIO_RATE and all(order):
        start = at
        for number in [order[who].pop() for _ in range(min(len(order[who]), int(rng.integers(1, 4))))]:
            piece = _cut(voices[who][number], rng)[: total - at]
            sound[at : at + len(piece)] += levels[who] * piece
            at += len(piece)
        turns.append(Turn(str(who), start / AUDIO_RATE, at / AUDIO_RATE))
        overlap = rng.random() < _OVERLAP_P
        at += round((-rng.uniform(*_OVERLAP_S) if overlap else rng.uniform(*_GAP_S)) * AUDIO_RATE)
        at, who = max(at, start + AUDIO_RATE // 4), 1 - who
    sound = sound[: round(turns[-1].end_s * AUDIO_RATE) + AUDIO_RATE // 2]
    if rng.random() < _LINE_P:
        hz = np.fft.rfftfreq(len(sound), 1.0 / AUDIO_RATE)
        sound = np.fft.irfft(np.fft.rfft(sound) * ((hz > _LINE_HZ[0]) & (hz < _LINE_HZ[1])), len(sound))
    noise = 0.08 * 10.0 ** (rng.uniform(*_NOISE_DB) / 20.0)
    return Mixture(name, (sound + noise * rng.standard_normal(len(sound))).astype(np.float32), turns)


def _cut(phrase: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """At most four seconds of a phrase, somewhere in it."""
    most = round(rng.uniform(1.5, 4.0) * AUDIO_RATE)
    start = int(rng.integers(max(1, len(phrase) - most)))
    return phrase[start : start + most]


def measured(assets: Path, first: int = 0, count: int = 40) -> None:
    """Error on each, its parts, and of all; without the voice encoder and, where that is at hand, with it."""
    ways: dict[str, VoiceEncoder | None] = {"cepstra": None}
    if (encoder := encoder_at_hand()) is not None:
        ways["voice encoder"] = encoder
    rows: dict[str, list[Errors]] = {way: [] for way in ways}
    for one in mixtures(assets, first, count):
        told = []
        for way, encoder in ways.items():
            found = found_turns(one.samples, 2, encoder, at_hand=False)
            errors = errors_of(found, one.turns, one.duration_s)
            rows[way].append(errors)
            told.append(f"{way} {sum(errors):.3f}")
        print(f"{one.name}, {one.duration_s:.0f} s, {len(one.turns)} turns: {', '.join(told)}", flush=True)
    for way, found_errors in rows.items():
        total = np.sum(found_errors, axis=1)
        low, middle, high = np.quantile(total, (0.25, 0.5, 0.75))
        missed, false, confused = np.mean(found_errors, axis=0)
        print(f"{way}, {len(total)} conversations: error median {middle:.3f} (quartiles {low:.3f}, {high:.3f}), "
              f"mean {total.mean():.3f} = missed {missed:.3f} + false {false:.3f} + confused {confused:.3f}, "
              f"above .25 in {np.mean(total > 0.25):.0%}")  # fmt: skip
