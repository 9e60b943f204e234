"""Numbers of a live session for the screen: all look back over the last ten seconds."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

_HISTORY = 250  # ticks


@dataclass
class LiveStats:
    """What the page shows."""

    fps: float = 0.0
    latency_p50_ms: float = 0.0
    """How far images lag the sound that they show when they leave the server, look-ahead included."""
    latency_p95_ms: float = 0.0
    lookahead_ms: float = 0.0
    """The part of it that the motion model waits for."""
    draw_p95_ms: float = 0.0
    drawn: int = 0
    dropped: int = 0
    """Images since the start that came too late to be drawn."""
    listeners: int = 0
    buffered_s: float = 0.0
    """Sound that waits in the source."""
    decided: int = 0
    """Ticks whose sound was taken and whose image waits for the look-ahead."""
    speaking: str = ""
    """Name of the source that drives the face."""
    memory_mb: float = 0.0
    """Resident memory of the server."""


@dataclass
class Timings:
    """Collects what `LiveStats` tells."""

    latency_ms: deque[float] = field(default_factory=lambda: deque(maxlen=_HISTORY))
    draw_ms: deque[float] = field(default_factory=lambda: deque(maxlen=_HISTORY))
    shown_s: deque[float] = field(default_factory=lambda: deque(maxlen=_HISTORY))
    n_drawn: int = 0
    n_dropped: int = 0

    def drawn(self, begin_s: float, end_s: float, lag_s: float) -> None:
        """An image was drawn from `begin_s` to `end_s`, `lag_s` after its sound began."""
        self.n_drawn += 1
        self.draw_ms.append((end_s - begin_s) * 1e3)
        self.latency_ms.append(lag_s * 1e3)
        self.shown_s.append(end_s)

    def stats(self) -> LiveStats:
        """The numbers that are known here."""
        shown = list(self.shown_s)
        span = shown[-1] - shown[0] if len(shown) > 1 else 0.0
        return LiveStats(
            fps=(len(shown) - 1) / span if span > 0 else 0.0,
            latency_p50_ms=_percentile(self.latency_ms, 50.0),
            latency_p95_ms=_percentile(self.latency_ms, 95.0),
            draw_p95_ms=_percentile(self.draw_ms, 95.0),
            drawn=self.n_drawn,
            dropped=self.n_dropped,
            memory_mb=resident_mb(),
        )


class Failures:
    """How often a session broke lately."""

    MANY = 3
    """After so many it waits a second each time and tells nobody any more."""
    _SOON_S = 10.0  # closer than this they are one trouble

    def __init__(self) -> None:
        self._at_s: deque[float] = deque(maxlen=self.MANY + 1)

    def again(self, now_s: float) -> int:
        """One more; how many there were shortly before."""
        n_before = sum(now_s - at_s < self._SOON_S for at_s in self._at_s)
        self._at_s.append(now_s)
        return n_before


def resident_mb(pid: int | None = None) -> float:
    """Resident memory of a process in MB; 0 where /proc does not tell."""
    try:
        with open(f"/proc/{pid or 'self'}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except (OSError, ValueError, IndexError):
        return 0.0


def _percentile(values: Iterable[float], share: float) -> float:
    kept = list(values)
    return float(np.percentile(kept, share)) if kept else 0.0
