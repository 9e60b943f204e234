"""The pattern of the mark: a tile of waves whose phases are a key, repeated over the picture.

A picture is measured in units of 1/256 of its shorter side, so that the pattern grows with it. The tile is TILE units
wide; its waves have LOW to HIGH periods in it. Some of them are always the same (they find the tile), the others carry
the bits of a payload, two a wave, each in COPIES waves. It is a spread-spectrum mark (I. J. Cox, J. Kilian,
F. T. Leighton and T. Shamoon, "Secure spread spectrum watermarking for multimedia", IEEE Trans. Image Processing 6(12),
1997) on a periodic carrier that finds itself again after a crop (M. Kutter, "Watermarking resisting to translation,
rotation, and scaling", SPIE 3528, 1998).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

import numpy as np

from gtalk.marks.code import N_CODED
from gtalk.shapes import Float

SHORT_SIDE = 256
TILE = 128
LOW, HIGH = 4.0, 17.0
COPIES = 3  # waves that carry the same two bits
_KEY = b"gtalk mark 1"
_FINDING = 1.0  # amplitude of the waves that find the tile, of those that carry bits


@dataclass(frozen=True)
class Waves:
    """The waves of the tile: `ky`, `kx` periods in it, and the signs of their real and imaginary parts."""

    ky: np.ndarray
    kx: np.ndarray
    signs: np.ndarray
    """complex [N], (+-1 +-1j) / sqrt 2."""
    n_carrying: int
    """So many at the beginning carry bits; the others find."""

    @property
    def ring(self) -> np.ndarray:
        """Int [N], whole periods of each in any direction: what compression leaves of them depends on it."""
        return np.hypot(self.ky, self.kx).astype(int)


@cache
def waves() -> Waves:
    """In an order, and with signs, that the key decides."""
    ky, kx = np.mgrid[-TILE // 2 : TILE // 2, -TILE // 2 : TILE // 2].reshape(2, -1)
    radius = np.hypot(ky, kx)
    half = (ky > 0) | ((ky == 0) & (kx > 0))
    ky, kx = ky[half & (radius >= LOW) & (radius < HIGH)], kx[half & (radius >= LOW) & (radius < HIGH)]
    drawn = np.frombuffer(hashlib.shake_256(_KEY).digest(5 * len(ky)), np.uint8).reshape(-1, 5)
    order = np.argsort(drawn[:, :4].copy().view(">u4")[:, 0], kind="stable")
    signs = (1 - 2 * (drawn[:, 4] & 1).astype(int) + 1j * (1 - (drawn[:, 4] & 2).astype(int))) / np.sqrt(2)
    return Waves(ky[order], kx[order], signs, COPIES * N_CODED // 2)


def tile_of(coded: Float[np.ndarray, " N"]) -> Float[np.ndarray, "128 128"]:
    """The tile that carries bits of +1 and -1; its root mean square is 1."""
    all_waves = waves()
    values = all_waves.signs * _FINDING
    n = all_waves.n_carrying
    coded, keyed = np.tile(coded, COPIES), np.sqrt(2) * all_waves.signs[:n]
    values[:n] = (keyed.real * coded[0::2] + 1j * keyed.imag * coded[1::2]) / np.sqrt(2)
    spectrum = np.zeros((TILE, TILE), complex)
    spectrum[all_waves.ky, all_waves.kx] = values
    spectrum[-all_waves.ky, -all_waves.kx] = values.conj()
    tile = np.fft.ifft2(spectrum).real
    return tile / np.sqrt((tile**2).mean())
