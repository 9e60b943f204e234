"""A singer's voice out of a song with accompaniment, as far as arithmetic goes: what is in the middle, and is a melody.

    stereo ─▶ what both channels share (centre) ─▶ what lasts over time (harmonic) and changes from bar to bar ─▶ voice

The centre: a bin counts as far as both channels agree in size and phase (Barry et al. 2004, ADRess). Harmonic: the
median along time against that along frequency (Fitzgerald 2010). What repeats is accompaniment: a bin counts as far as
it exceeds the median of the moments that are most like it (Rafii and Pardo 2012). A stem is better: `dub --vocals`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from gtalk.shapes import Float

_SIZE, _HOP = 1024, 256  # at AUDIO_RATE: 64 ms, where notes are apart
_LOW_HZ, _HIGH_HZ = 110.0, 6000.0
_BLOCK_S, _EDGE_S = 20.0, 1.0
_ALONG, _ACROSS = 17, 17  # frames, bins
_LIKE, _APART = 12, 40  # moments that are compared, so many frames away at least
_LEAST = 0.05


def voice_of_song(pieces: Iterable[Float[np.ndarray, "N C"]], rate: int) -> Iterator[Float[np.ndarray, " M"]]:
    """Mono sound of the voice, as long as the song, in constant memory: blocks overlap and fade into each other."""
    block, edge = round(_BLOCK_S * rate), round(_EDGE_S * rate)
    held, tail = np.zeros((0, 0)), np.zeros(0)
    first = True
    for piece in pieces:
        held = np.asarray(piece, np.float64) if not held.size else np.concatenate([held, piece])
        while len(held) >= block + edge:
            out, tail = _joined(_voice(held[: block + edge], rate), tail, edge, first, last=False)
            held, first = held[block:], False
            yield out
    if len(held):
        yield _joined(_voice(held, rate), tail, edge, first, last=True)[0]


def _joined(made: np.ndarray, tail: np.ndarray, edge: int, first: bool, last: bool) -> tuple[np.ndarray, np.ndarray]:
    if not first:
        n = min(edge, len(made), len(tail))
        ramp = np.linspace(0.0, 1.0, n)
        made[:n] = ramp * made[:n] + (1.0 - ramp) * tail[:n]
    return (made, made[:0]) if last else (made[:-edge].astype(np.float32), made[-edge:])


def _voice(sound: Float[np.ndarray, "N C"], rate: int) -> Float[np.ndarray, " N"]:
    spectra = [_spectrum(sound[:, c]) for c in range(min(2, sound.shape[1]))]
    middle = sum(spectra) / len(spectra)
    size = np.abs(middle)
    hz = np.fft.rfftfreq(_SIZE, 1.0 / rate)
    mask = ((hz > _LOW_HZ) & (hz < _HIGH_HZ)).astype(float)[None]
    if len(spectra) == 2:
        apart = np.abs(spectra[0] - spectra[1]) / (np.abs(spectra[0]) + np.abs(spectra[1]) + 1e-9)
        mask = mask * np.clip(1.0 - 2.0 * apart, 0.0, 1.0)
    mask = mask * _harmonic(size) * _unlike_the_rest(size)
    return _sound(middle * np.maximum(mask, _LEAST * (mask > 0)), len(sound)).astype(np.float32)


def _harmonic(size: Float[np.ndarray, "T B"]) -> Float[np.ndarray, "T B"]:
    """How far what lasts outweighs what strikes."""
    from scipy.ndimage import median_filter

    lasts, strikes = median_filter(size, (_ALONG, 1)), median_filter(size, (1, _ACROSS))
    return lasts**2 / (lasts**2 + strikes**2 + 1e-12)


def _unlike_the_rest(size: Float[np.ndarray, "T B"]) -> Float[np.ndarray, "T B"]:
    """How far each moment exceeds the moments most like it."""
    count = len(size)
    if count < 2 * _APART:
        return np.ones_like(size)
    logs = np.log1p(size / (np.median(size) + 1e-9))
    unit = logs / (np.linalg.norm(logs, axis=1, keepdims=True) + 1e-9)
    alike = unit @ unit.T
    at = np.arange(count)
    alike[np.abs(at[:, None] - at[None]) < _APART] = -1.0
    best = np.argpartition(-alike, min(_LIKE, count - 1), axis=1)[:, :_LIKE]
    usual = np.median(size[best], axis=1)
    return np.clip(1.0 - np.minimum(usual, size) / (size + 1e-12), 0.0, 1.0)


def _spectrum(sound: Float[np.ndarray, " N"]) -> np.ndarray:
    padded = np.pad(sound, (_SIZE, _SIZE + _HOP))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _SIZE)[::_HOP]
    return np.fft.rfft(frames * np.hanning(_SIZE), axis=1)


def _sound(spectrum: np.ndarray, count: int) -> Float[np.ndarray, " N"]:
    window = np.hanning(_SIZE)
    frames = np.fft.irfft(spectrum, _SIZE, axis=1) * window
    out, weight = (np.zeros(_HOP * len(frames) + _SIZE) for _ in range(2))
    for i, frame in enumerate(frames):
        out[i * _HOP : i * _HOP + _SIZE] += frame
        weight[i * _HOP : i * _HOP + _SIZE] += window**2
    return (out / np.maximum(weight, 1e-3))[_SIZE : _SIZE + count]
