"""Which sound is followed: windows' directions to a few sources, one after the other.

A Kalman filter holds the azimuth of the source; what lies further off than the hysteresis must be heard in several
windows before it is another source, a bang in one. Where nothing is sure for a while, nothing is followed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from gtalk.errors import UserError
from gtalk.hearing.direction import STEP_S, Direction

HYSTERESIS_DEG = 8.0
AHEAD_DEG = 8.0
"""What comes from so near the middle comes from the front."""
_LEAST_SURE = 0.3
_AGREE, _AGREE_DEG = 3, 12.0  # windows that must agree on a new direction, and within how much
_BANG_DB, _BANG_SURE, _BANG_AFTER_S = 10.0, 0.5, 0.5
_LOST_S = 1.5
_DRIFT_DEG_S, _NOISE_DEG = 15.0, 5.0
_LEAST_KNOWN = 20  # windows before two channels are said to contradict each other, or one to be silent


@dataclass(frozen=True)
class Source:
    """Something that is heard from a direction, from `start_s` until the next."""

    start_s: float
    azimuth_deg: float | None
    """Towards the side of channel 2; None where nothing is heard any more."""
    sudden: bool = False
    """A bang, or somebody who breaks the silence."""


class SourceTracker:
    """Follows what is heard; told directions in the order of time."""

    def __init__(self) -> None:
        self._azimuth = self._variance = 0.0
        self._told: float | None = None
        self._followed = False
        self._sure_s = -np.inf
        self._rivals: list[Direction] = []
        self._level_db: float | None = None
        self._level_s = -np.inf
        self._heard = self._against = 0

    def push(self, heard: Iterable[Direction]) -> list[Source]:
        """Sources that begin, move or end with these directions."""
        out: list[Source] = []
        for one in heard:
            if self._followed and one.time_s - self._sure_s > _LOST_S:
                out.append(self._lose(self._sure_s + _LOST_S))
            self._heard += 1
            self._against += one.contradicts
            sudden = self._is_sudden(one)
            if one.sure >= _LEAST_SURE:
                self._hear(one, sudden, out)
        return out

    def silent_until(self, time_s: float) -> list[Source]:
        """Nothing more was heard until then."""
        return [self._lose(self._sure_s + _LOST_S)] if self._followed and time_s - self._sure_s > _LOST_S else []

    @property
    def contradicts(self) -> bool:
        """Whether the louder channel is mostly the later one: one of them is turned over, late or misplaced."""
        return self._heard >= _LEAST_KNOWN and self._against > 0.5 * self._heard

    def _hear(self, one: Direction, sudden: bool, out: list[Source]) -> None:
        if self._followed and abs(one.azimuth_deg - self._azimuth) <= HYSTERESIS_DEG:
            self._rivals, self._sure_s = [], one.time_s
            self._correct(one)
            if self._told is not None and abs(self._azimuth - self._told) > HYSTERESIS_DEG:
                out.append(self._tell(one.time_s))
            return
        self._rivals = [r for r in self._rivals if abs(r.azimuth_deg - one.azimuth_deg) <= _AGREE_DEG]
        self._rivals = [r for r in self._rivals if one.time_s - r.time_s < 1.0] + [one]
        if len(self._rivals) >= _AGREE or (sudden and one.sure >= _BANG_SURE):
            first_s = self._rivals[0].time_s
            self._azimuth = float(np.median([r.azimuth_deg for r in self._rivals]))
            self._variance, self._rivals = _NOISE_DEG**2, []
            self._followed, self._sure_s = True, one.time_s
            out.append(self._tell(first_s, sudden))

    def _correct(self, one: Direction) -> None:
        self._variance += (_DRIFT_DEG_S * STEP_S) ** 2
        gain = self._variance / (self._variance + (_NOISE_DEG / one.sure) ** 2)
        self._azimuth += gain * (one.azimuth_deg - self._azimuth)
        self._variance *= 1.0 - gain

    def _tell(self, time_s: float, sudden: bool = False) -> Source:
        self._told = self._azimuth
        return Source(time_s, self._azimuth, sudden)

    def _lose(self, time_s: float) -> Source:
        self._followed, self._told, self._rivals = False, None, []
        return Source(time_s, None)

    def _is_sudden(self, one: Direction) -> bool:
        """Whether it stands out of what was heard before; the very first sound does not."""
        before, quiet = self._level_db, one.time_s - self._level_s > _BANG_AFTER_S
        self._level_s = one.time_s
        if before is None or quiet:
            self._level_db = one.level_db
            return before is not None
        self._level_db = 0.7 * before + 0.3 * one.level_db
        return one.level_db > before + _BANG_DB


def require_two_ears(channels: int, levels: np.ndarray, what: str) -> None:
    """Raises UserError for a sound without directions: other than two channels, or one of them silent.

    `levels` [C]: the largest magnitude in each channel.
    """
    if channels != 2:
        raise UserError(what, expected="two channels, left and right", got=f"{channels}",
                        remedy="Record in stereo, or leave it out: one channel has no direction.")  # fmt: skip
    if levels.min() < 1e-4 <= levels.max():
        side = "left" if levels.argmin() == 0 else "right"
        raise UserError(what, expected="sound in both channels", got=f"a silent {side} one",
                        remedy="Check the microphones; with one of them nothing has a direction.")  # fmt: skip
