"""Speech-like sounds with known truth, made by a source and two resonances. For tests."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

RATE = 16_000
FORMANTS_HZ = {"a": (750.0, 1200.0), "i": (300.0, 2300.0), "u": (330.0, 800.0), "e": (480.0, 1900.0)}


def harmonic(f0_hz: np.ndarray | float, seconds: float, seed: int = 0) -> np.ndarray:
    """A pulse-like source with harmonics up to 4 kHz, amplitude about 0.1."""
    count = round(seconds * RATE)
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(f0_hz, count)) / RATE
    top = int(4000 / np.max(f0_hz))
    wave = sum(np.cos(k * phase) / k for k in range(1, top + 1))
    return (0.1 * wave + 1e-4 * np.random.default_rng(seed).normal(size=count)).astype(np.float32)


def vowel(name: str, seconds: float, f0_hz: np.ndarray | float = 120.0, seed: int = 0) -> np.ndarray:
    """A steady vowel with faded ends."""
    wave = harmonic(f0_hz, seconds, seed).astype(np.float64)
    for hz in FORMANTS_HZ[name]:
        radius = np.exp(-np.pi * 90.0 / RATE)
        wave = np.asarray(lfilter([1 - radius], [1, -2 * radius * np.cos(2 * np.pi * hz / RATE), radius**2], wave))
    wave *= 0.12 / max(wave.std(), 1e-9)
    fade = np.minimum(1.0, np.minimum(np.arange(len(wave)), np.arange(len(wave))[::-1]) / (0.02 * RATE))
    return (wave * fade).astype(np.float32)


def room_noise(seconds: float, level_db: float = -45.0, seed: int = 0) -> np.ndarray:
    """Low-passed noise without any pitch."""
    white = np.random.default_rng(seed).normal(size=round(seconds * RATE))
    noise = np.asarray(lfilter([0.3], [1, -0.7], white))
    return (noise / noise.std() * 10 ** (level_db / 20)).astype(np.float32)


def babble(seconds: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(samples, openness at 25 fps): syllables of random vowels and pauses; `a` opens wide, `u` hardly."""
    rng = np.random.default_rng(seed)
    openness = {"a": 1.0, "e": 0.6, "i": 0.3, "u": 0.15}
    pieces, marks, length = [], [], 0
    while length < seconds * RATE:
        if rng.random() < 0.15:
            piece, value = np.zeros(round(rng.uniform(0.3, 0.8) * RATE), np.float32), 0.0
        else:
            name = str(rng.choice(list(openness)))
            span = rng.uniform(0.12, 0.3)
            glide = np.linspace(rng.uniform(90, 150), rng.uniform(90, 150), round(span * RATE))
            piece, value = vowel(name, span, glide, int(rng.integers(1 << 30))), openness[name]
        pieces.append(piece)
        marks.append((length / RATE, value))
        length += len(piece)
    samples = np.concatenate(pieces)[: round(seconds * RATE)] + room_noise(seconds, -65.0, seed)
    times = np.arange(round(seconds * 25)) / 25.0
    starts, values = np.array(marks).T
    raw = values[np.searchsorted(starts, times, side="right") - 1]
    smooth = np.convolve(np.pad(raw, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
    return samples.astype(np.float32), smooth
