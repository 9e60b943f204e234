"""Other voices out of one: copies of a recording with another speed, room, microphone and level.

A copy played at another speed has another pitch and another vocal tract length too, as a taller or
smaller person would; its motion is retimed with it. The changes are mild: strong ones were measured to
cost more on the person's own voice than they gained on others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtalk.shapes import Float
from gtalk.types import AUDIO_RATE


@dataclass(frozen=True)
class AugmentConfig:
    """How far copies of the sound may differ."""

    copies: int = 6
    """Augmented copies of the clip beside the clip itself."""
    speed: float = 0.12
    """Largest change of speed, pitch and vocal tract length (0.12: from 0.88 to 1.12)."""
    equaliser_db: float = 6.0
    """Largest change of a part of the spectrum."""
    noise_db: tuple[float, float] = (-50.0, -20.0)
    """Range of the level of added noise, relative to the speech."""
    reverb: float = 0.25
    """Largest share of room sound."""


@dataclass(frozen=True)
class Copy:
    """A changed recording; its instant t is the instant t * speed of the original."""

    samples: Float[np.ndarray, " N"]
    speed: float


def augmented(samples: Float[np.ndarray, " N"], config: AugmentConfig, rng: np.random.Generator) -> Copy:
    """One random copy of a recording (mono, AUDIO_RATE)."""
    speed = float(np.exp(rng.uniform(-1, 1) * np.log1p(config.speed)))
    sound = resampled(samples, speed)
    sound = equalised(sound, rng.uniform(-1, 1, 6) * config.equaliser_db)
    sound = with_room(sound, rng.uniform(0, config.reverb), rng.uniform(0.05, 0.25), rng)
    sound = with_noise(sound, rng.uniform(*config.noise_db), rng.uniform(0, 1), rng)
    return Copy((sound * 10 ** (rng.uniform(-10, 6) / 20)).astype(np.float32), speed)


def resampled(samples: Float[np.ndarray, " N"], speed: float) -> Float[np.ndarray, " M"]:
    """The sound played faster or slower."""
    import soxr

    rate = 16_000.0
    return soxr.resample(samples.astype(np.float32), rate * speed, rate, quality="MQ") if speed != 1.0 else samples


def equalised(samples: Float[np.ndarray, " N"], gains_db: Float[np.ndarray, " G"]) -> Float[np.ndarray, " N"]:
    """Gains at points spread evenly in log frequency from 60 Hz to 8 kHz, linear between them."""
    if not len(samples):
        return samples
    taps = 255
    hz = np.fft.rfftfreq(512, 1 / AUDIO_RATE)
    points = np.geomspace(60, AUDIO_RATE / 2, len(gains_db))
    gain = 10 ** (np.interp(np.log(np.maximum(hz, 30.0)), np.log(points), gains_db) / 20)
    kernel = np.roll(np.fft.irfft(gain), taps // 2)[:taps] * np.hanning(taps)
    return _convolved(samples, kernel, taps // 2)


def with_room(
    samples: Float[np.ndarray, " N"], share: float, decay_s: float, rng: np.random.Generator
) -> Float[np.ndarray, " N"]:
    """Adds an exponentially decaying noise tail, the late field of a small room."""
    length = round(3 * decay_s * AUDIO_RATE)
    tail = rng.normal(size=length) * np.exp(-np.arange(length) / (decay_s * AUDIO_RATE))
    tail *= share / max(np.linalg.norm(tail), 1e-9)
    tail[0] += 1.0
    return _convolved(samples, tail, 0)


def with_noise(
    samples: Float[np.ndarray, " N"], level_db: float, colour: float, rng: np.random.Generator
) -> Float[np.ndarray, " N"]:
    """Adds noise between white (colour 0) and brownish (1), `level_db` under the loud half of the sound."""
    if not len(samples):
        return samples
    noise = rng.normal(size=len(samples))
    if colour > 0:
        spectrum = np.fft.rfft(noise)
        noise = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 1.0) ** (0.5 * colour), len(samples))
    power = samples.astype(np.float64) ** 2
    loud = power[power >= np.median(power)].mean()
    return samples + noise * np.sqrt(loud / max(noise.var(), 1e-12)) * 10 ** (level_db / 20)


def _convolved(samples: np.ndarray, kernel: np.ndarray, delay: int) -> np.ndarray:
    from scipy.signal import oaconvolve

    return oaconvolve(samples, kernel)[delay : delay + len(samples)]
