"""Lessons as power spectra, and what rooms, microphones and other mouths make of them.

Everything that is done to a sound is done to its power spectra at 100 Hz: shifting all frequencies is another
throat, stretching time another tempo, a decaying sum over time a room, a curve over frequency a microphone, and
other sounds add with a random phase. It costs a few milliseconds for a crop, so that no two are alike.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import lfilter

from gtalk.shapes import Float
from gtalk.speech.base import HOP, RATE_HZ
from gtalk.speech.features import MEL_HIGH_HZ, MEL_LOW_HZ, N_MEL, average_voice
from gtalk.speech.frontend import FRAME, FULL_SCALE, N_FFT, PRE_EMPHASIS
from gtalk.speech.mel import mel_filters
from gtalk.speech.student import VISEMES
from gtalk.types import AUDIO_RATE
from tools.make.ears.phones import LETTERS, timed, visemes_of

UNKNOWN = -1
_FILTERS = mel_filters(N_MEL, MEL_LOW_HZ, MEL_HIGH_HZ, N_FFT).T.astype(np.float32)
_AVERAGE = average_voice().mean[:N_MEL].astype(np.float32)
_BIN_HZ = AUDIO_RATE / N_FFT
_HZ = np.arange(N_FFT // 2 + 1) * _BIN_HZ


@dataclass(frozen=True)
class Lesson:
    """One utterance."""

    name: str
    language: str
    voice: str
    power: Float[np.ndarray, "T 257"]
    """float16 natural logarithm of the power spectra plus one, in the front end's units."""
    viseme: Float[np.ndarray, " T"]
    """Index of each row's viseme; UNKNOWN where none is sure."""
    letter: Float[np.ndarray, " T"]
    """Number of each row's phone."""


def power_spectra(samples: Float[np.ndarray, " N"]) -> Float[np.ndarray, "T 257"]:
    """As `gtalk.speech.frontend` makes them, of a whole sound."""
    count = -(-len(samples) // HOP)
    padded = np.concatenate([np.zeros(FRAME // 2 + 1), samples, np.zeros(FRAME + HOP)]).astype(np.float32) * FULL_SCALE
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME + 1)[: count * HOP : HOP]
    spectrum = np.fft.rfft((frames[:, 1:] - PRE_EMPHASIS * frames[:, :-1]) * np.hamming(FRAME), N_FFT)
    return spectrum.real**2 + spectrum.imag**2


def read_lesson(path: Path) -> Lesson:
    """NAME.json with NAME.wav beside it."""
    facts = json.loads(path.read_text())
    samples = soundfile.read(path.with_suffix(".wav"), dtype="float32")[0]
    power = power_spectra(samples)
    viseme, letter = np.zeros(len(power), np.int64), np.zeros(len(power), np.int64)
    times_s = np.arange(len(power)) / RATE_HZ
    for kind, start, end in visemes_of(*timed(facts)):
        viseme[(times_s >= start) & (times_s < end)] = VISEMES.index(kind)
    for phone, start, end in zip(*timed(facts), strict=True):
        if phone in LETTERS:
            letter[(times_s >= start) & (times_s < end)] = LETTERS[phone]
    return Lesson(facts["name"], facts["language"], facts["voice"], np.log1p(power).astype(np.float16), viseme, letter)


def mel_rows(power: Float[np.ndarray, "T 257"], mean: Float[np.ndarray, " 40"]) -> Float[np.ndarray, "T 40"]:
    """What the network is given; `mean` is that of the voice, as the running mean would have it."""
    mel = np.log(power.astype(np.float32) @ _FILTERS + 1.0)
    return np.clip(mel - mean, -9.0, 6.0) / 3.0


def voice_mean(power: np.ndarray, spoken: np.ndarray) -> np.ndarray:
    """Mean mel row over speech; the average voice's where there is little."""
    mel = np.log(power[spoken].astype(np.float32) @ _FILTERS + 1.0)
    return (mel.sum(0) + 150 * 0.2 * _AVERAGE) / (len(mel) + 150 * 0.2)


class Ordeal:
    """Changes crops at random."""

    def __init__(self, babble: list[np.ndarray], seed: int) -> None:
        self._babble = babble
        rng = np.random.default_rng(seed)
        self._grains = rng.exponential(1.0, (4000, len(_HZ))).astype(np.float32)
        self._phases = np.cos(rng.uniform(0, 2 * np.pi, (4000, len(_HZ)))).astype(np.float32)
        self._music = [np.log1p(power_spectra(music(np.random.default_rng([seed, i])))) for i in range(6)]

    def __call__(
        self, log_power: np.ndarray, spoken: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """([T,257] power of a crop, [40] mean of the voice), from log1p power; `spoken` marks its speech."""
        power = np.expm1(log_power.astype(np.float32))
        power *= np.float32(10 ** (rng.uniform(-30, 4) / 10))
        loud = max(float(power[spoken].sum(1).mean()) if spoken.any() else 1e7, 1.0)
        if rng.random() < 0.45:
            power = _room(power, self._grain(len(power), rng), rng)
        if rng.random() < 0.75:
            power = self._noise(power, loud, rng)
        power *= _microphone(rng)[None]
        mean = voice_mean(power, spoken)
        toward = rng.uniform(0, 1) ** 3 * (_AVERAGE - mean + rng.normal(0, 0.5))
        return power, mean + toward.astype(np.float32) + rng.normal(0, 0.15, N_MEL).astype(np.float32)

    def _noise(self, power: np.ndarray, loud: float, rng: np.random.Generator) -> np.ndarray:
        kind, level = rng.random(), loud * 10 ** (rng.uniform(-45, 2) / 10)
        if kind < 0.5:
            curve = np.exp(
                np.interp(_HZ, np.geomspace(60, 8000, 6), rng.normal(0, 1.2, 6)) - rng.uniform(0, 1) * _HZ / 2e3
            )
            noise = curve[None].astype(np.float32) * self._grain(len(power), rng)
            if rng.random() < 0.3:
                swell = np.interp(np.arange(len(power)), np.linspace(0, len(power), 12), rng.exponential(1.0, 12))
                noise *= swell[:, None].astype(np.float32)
        elif kind < 0.8:
            noise = sum(self._piece(self._babble, len(power), rng) for _ in range(rng.integers(2, 6)))
        else:
            noise = self._piece(self._music, len(power), rng)
        noise = noise * np.float32(level / max(float(noise.sum(1).mean()), 1e-3))
        at = rng.integers(len(self._phases) - len(power))
        phase = self._phases[at : at + len(power)]
        return np.maximum(power + noise + 2.0 * np.sqrt(power * noise) * phase, 0.0)

    def _grain(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """[count,257] of mean one: how the power of noise scatters."""
        at = rng.integers(len(self._grains) - count)
        return self._grains[at : at + count]

    def _piece(self, sounds: list[np.ndarray], count: int, rng: np.random.Generator) -> np.ndarray:
        sound = sounds[rng.integers(len(sounds))]
        at = rng.integers(max(1, len(sound) - count))
        return np.resize(np.expm1(sound[at : at + count].astype(np.float32)), (count, sound.shape[1]))


def warped(sound: Float[np.ndarray, "R 257"], rng: np.random.Generator, most: int) -> tuple[np.ndarray, np.ndarray]:
    """([T,257] log1p power at another tempo and of another throat, [T] instants in the sound's rows); T <= `most`."""
    count = len(sound)
    speed = float(np.exp(rng.normal(0, 0.12)))
    knots = rng.normal(0, 0.18, max(4, count // 40))
    if rng.random() < 0.12:  # held, as when singing
        knots = knots - rng.uniform(0.2, 1.0) * (rng.random(len(knots)) < 0.5)
    pace = speed * np.exp(np.interp(np.arange(3 * count), np.linspace(0, count, len(knots)), knots))
    at = np.cumsum(pace) - pace[0]
    at = at[at < count - 1][:most]
    low = at.astype(int)
    share = (at - low)[:, None].astype(np.float32)
    power = (1 - share) * sound[low].astype(np.float32) + share * sound[low + 1].astype(np.float32)
    throat = float(np.exp(rng.normal(0, 0.08)))
    bins = np.minimum(np.arange(power.shape[1]) * throat, power.shape[1] - 1.001)
    left = bins.astype(int)
    part = (bins - left).astype(np.float32)
    return (1 - part) * power[:, left] + part * power[:, left + 1], at


def music(rng: np.random.Generator, seconds: float = 20.0) -> Float[np.ndarray, " N"]:
    """Chords, a melody with vibrato and a beat: harmonics that nobody says."""
    times_s = np.arange(round(seconds * AUDIO_RATE)) / AUDIO_RATE
    sound = np.zeros(len(times_s))
    root, beat_s = 110 * 2 ** rng.uniform(0, 1), rng.uniform(0.35, 0.7)
    for start in np.arange(0, seconds, beat_s):
        chosen = (times_s >= start) & (times_s < start + beat_s * 1.5)
        t = times_s[chosen] - start
        for step in rng.choice([0, 3, 4, 5, 7, 9, 10, 12, 16, 19], 3, replace=False):
            hz = root * 2 ** (step / 12) * (1 + 0.004 * np.sin(2 * np.pi * 5.5 * t))
            wave = sum(np.sin(2 * np.pi * k * hz * t) / k ** rng.uniform(0.8, 1.8) for k in range(1, 7))
            sound[chosen] += wave * np.exp(-t * rng.uniform(1, 5)) * np.minimum(t / 0.01, 1)
        sound[chosen] += rng.uniform(0, 2) * rng.normal(size=len(t)) * np.exp(-t * 40)
    return 0.1 * sound / np.abs(sound).max()


def _room(power: np.ndarray, grain: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Late reverberation: an exponentially decaying sum of what was, longer at low frequencies."""
    decay_s = rng.uniform(0.1, 0.6)
    share = 10 ** (rng.uniform(-18, -1) / 10)
    keep = np.exp(-13.8 / (decay_s * RATE_HZ))
    numbers = np.array([0.0, 0.0, 1.0 - keep], np.float32), np.array([1.0, -keep], np.float32)
    tail = lfilter(*numbers, power, axis=0) * grain
    return power + np.float32(share) * tail * np.exp(-_HZ / 9e3)[None].astype(np.float32)


def _microphone(rng: np.random.Generator) -> np.ndarray:
    """[257] gains of power: a smooth curve, a telephone now and then, a loss of the highs."""
    gain = np.interp(np.log(np.maximum(_HZ, 30)), np.log(np.geomspace(60, 8000, 7)), rng.normal(0, 3.0, 7))
    if rng.random() < 0.12:
        low, high = rng.uniform(150, 350), rng.uniform(3000, 3900)
        gain = gain - 45 * ((high < _HZ) | (low > _HZ))
    elif rng.random() < 0.15:
        gain = gain - 30 * (rng.uniform(3500, 7500) < _HZ)
    return (10 ** (gain / 10)).astype(np.float32)
