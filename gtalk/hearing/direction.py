"""From where a sound comes: two channels to azimuths, as a stream.

    frames of 32 ms ─▶ cross-spectra, whitened ─▶ sum over .3 s ─▶ correlation at each delay ─▶ delay ─▶ azimuth

GCC-PHAT (Knapp and Carter 1976): whitening leaves the phases alone, so that the correlation is a peak as narrow as the
band allows, in a room too. The delay of a head of radius r is r / c (a + sin a) (Woodworth 1938). The louder channel
must be the earlier one: where levels and delays contradict each other, or a second peak is as high as the first, as in
wide music, nothing is known. What is panned by level alone, without any delay, is placed by the law of sines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from gtalk.shapes import Float, Shaped

SOUND_M_S = 343.0
HEAD_RADIUS_M = 0.092
STEP_S, WINDOW_S = 0.1, 0.3
_FRAME_S, _HOP_S = 0.032, 0.02
_BAND_HZ = (200.0, 7000.0)
_DELAYS_S = np.linspace(-0.8e-3, 0.8e-3, 321)
_APART_S = 0.15e-3  # a second peak is one so far from the first
_PANNED_DB, _PANNED_S = 3.0, 0.06e-3  # by level alone: at least so much louder, at most so much earlier
_QUIET_DB, _FLOOR_DB = 25.0, -60.0  # below the loudest so far, and at all: silence
_LOUDER_DB = 2.0  # so much is no vote
_FORGETS_DB_S = 1.0  # how fast the loudest so far is forgotten
_SURE = (0.12, 0.45)  # height of the peak over the second, of what whitened noise-free sound would have: 0 and 1


@dataclass(frozen=True)
class Direction:
    """What was heard in a window."""

    time_s: float
    """Its middle."""
    azimuth_deg: float
    """Towards the side of channel 2; front and back are not told apart."""
    sure: float
    """0 to 1."""
    level_db: float
    """Of full scale."""
    contradicts: bool = False
    """Whether the louder channel is the later one."""


class DirectionFinder:
    """Directions of a stereo sound that comes in pieces; how it is cut changes nothing."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._size = 1 << round(np.log2(_FRAME_S * rate))
        self._hop = round(_HOP_S * rate)
        self._count, self._step = round(WINDOW_S / _HOP_S), round(STEP_S / _HOP_S)
        self._left = np.zeros((0, 2))
        self._rows: list[tuple[np.ndarray, float, np.ndarray]] = []
        self._first = 0  # number of the first frame that is kept
        self._loudest_db = _FLOOR_DB
        self._shape = np.hanning(self._size)[:, None]

    def push(self, samples: Float[np.ndarray, "N 2"]) -> list[Direction]:
        """Directions of the windows that end within these samples, STEP_S apart; silence is left out."""
        self._left = np.concatenate([self._left, np.asarray(samples, np.float64)])
        out: list[Direction] = []
        while len(self._left) >= self._size:
            self._take(self._left[: self._size] * self._shape)
            self._left = self._left[self._hop :]
            if len(self._rows) == self._count:
                if (found := self._window()) is not None:
                    out.append(found)
                self._rows, self._first = self._rows[self._step :], self._first + self._step
        return out

    def _take(self, frame: Float[np.ndarray, "W 2"]) -> None:
        spectrum = np.fft.rfft(frame, axis=0)
        bins = _bins(self._rate, self._size)
        power = (np.abs(spectrum) ** 2)[bins].sum(0) / (0.375 * self._size * self._size / 2.0)
        cross = (spectrum[bins, 0].conj() * spectrum[bins, 1]).astype(np.complex64)
        self._rows.append((cross, float(power.sum()), power))

    def _window(self) -> Direction | None:
        power = np.array([row[2] for row in self._rows])
        level_db = 10.0 * float(np.log10(power.sum(1).mean() + 1e-12))
        self._loudest_db = max(level_db, self._loudest_db - _FORGETS_DB_S * STEP_S)
        if level_db < max(_FLOOR_DB, self._loudest_db - _QUIET_DB):
            return None
        time_s = ((self._first + 0.5 * (self._count - 1)) * self._hop + 0.5 * self._size) / self._rate
        delay_s, sure = _delay(np.stack([row[0] for row in self._rows]), self._rate, self._size)
        louder_db = 10.0 * float(np.log10((power[:, 1].sum() + 1e-12) / (power[:, 0].sum() + 1e-12)))
        if abs(louder_db) > _PANNED_DB and abs(delay_s) < _PANNED_S:
            return Direction(time_s, panned_azimuth(louder_db), sure, level_db)
        # Channel 2 is the earlier one where the delay is negative.
        against = abs(louder_db) > _LOUDER_DB and abs(delay_s) > _PANNED_S and louder_db * delay_s > 0
        return Direction(time_s, azimuth_of_delay(-delay_s), 0.0 if against else sure, level_db, against)


def directions(pieces: Iterable[Float[np.ndarray, "N 2"]], rate: int) -> Iterator[Direction]:
    """Of a whole sound in pieces."""
    finder = DirectionFinder(rate)
    for piece in pieces:
        yield from finder.push(piece)


def delay_of_azimuth(azimuth_deg: float) -> float:
    """Seconds by which a sound from the right is earlier in the right ear; at most 90 degrees."""
    a = np.deg2rad(np.clip(azimuth_deg, -90.0, 90.0))
    return float(HEAD_RADIUS_M / SOUND_M_S * (a + np.sin(a)))


def azimuth_of_delay(delay_s: float) -> float:
    """Inverse of `delay_of_azimuth`, degrees; what no head delays is at its side."""
    degrees, delays = _woodworth()
    return float(np.interp(delay_s, delays, degrees))


def panned_azimuth(louder_db: float) -> float:
    """Where two loudspeakers 45 degrees to the sides put a sound that is so much louder in channel 2, degrees."""
    right, left = 10.0 ** (louder_db / 20.0), 1.0
    return float(np.rad2deg(np.arcsin(np.sin(np.pi / 4) * (right - left) / (right + left))))


@lru_cache(maxsize=1)
def _woodworth() -> tuple[np.ndarray, np.ndarray]:
    degrees = np.linspace(-90.0, 90.0, 721)
    return degrees, np.array([delay_of_azimuth(a) for a in degrees])


@lru_cache(maxsize=8)
def _bins(rate: int, size: int) -> np.ndarray:
    hz = np.fft.rfftfreq(size, 1.0 / rate)
    return np.flatnonzero((hz >= _BAND_HZ[0]) & (hz <= min(_BAND_HZ[1], 0.45 * rate)))


@lru_cache(maxsize=8)
def _steering(rate: int, size: int) -> Shaped[np.ndarray, "D B"]:
    hz = _bins(rate, size) * (rate / size)
    return np.exp(2j * np.pi * _DELAYS_S[:, None] * hz).astype(np.complex64)


def _delay(cross: Shaped[np.ndarray, "F B"], rate: int, size: int) -> tuple[float, float]:
    """(by how much channel 2 is later, s; how sure that is)."""
    size_of = np.abs(cross)
    white = cross / (size_of + 1e-12)
    # Frames and bins in which nothing sounds know nothing: each bin counts as far as it is above its usual level.
    weight = size_of / (size_of + np.median(size_of) + 1e-12)
    summed = (white * weight).sum(0) / max(float(weight.sum()), 1e-9)
    heard = (_steering(rate, size) @ summed).real
    best = int(heard.argmax())
    near = np.abs(_DELAYS_S - _DELAYS_S[best]) < _APART_S
    second = max(0.0, float(heard[~near].max()))
    sure = float(np.clip((heard[best] - second - _SURE[0]) / (_SURE[1] - _SURE[0]), 0.0, 1.0))
    return _peak(heard, best), sure


def _peak(heard: Float[np.ndarray, " D"], best: int) -> float:
    if not 0 < best < len(heard) - 1:
        return float(_DELAYS_S[best])
    before, here, after = heard[best - 1 : best + 2]
    bend = before - 2.0 * here + after
    shift = 0.0 if bend == 0 else 0.5 * (before - after) / bend
    return float(_DELAYS_S[best] + shift * (_DELAYS_S[1] - _DELAYS_S[0]))
