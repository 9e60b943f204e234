"""How far the making of an avatar is, and how long it will still take."""

from __future__ import annotations

import time
from collections.abc import Callable

WEIGHTS = {
    "train": {
        "media": 7, "landmarks": 19, "sync": 4, "track": 24, "masks": 47, "background": 20, "torso": 14, "report": 3,
        "fit": 70, "motion features": 12, "motion": 25,
    },
}  # fmt: skip
"""Seconds that the stages took in one run, for their shares; any other job is one stage."""


class Pace:
    """Share and time left of a job whose stages report in a fixed order; stages that are passed over count as done."""

    def __init__(self, kind: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._weights, self._clock = WEIGHTS.get(kind, {}), clock
        self._began_s = clock()
        self._first: float | None = None
        self.share = 0.0
        self.stage = ""

    def report(self, stage: str, done: int, total: int | None) -> None:
        """A stage is so far."""
        inside = min(1.0, done / total) if total else 0.0
        names = list(self._weights)
        if not names:
            share = inside
        elif stage in names:
            before = sum(self._weights[name] for name in names[: names.index(stage)])
            share = (before + inside * self._weights[stage]) / sum(self._weights.values())
        else:
            share = self.share
        self.stage = stage
        if self._first is None:
            self._first, self._began_s = share, self._clock()
        self.share = max(self.share, min(share, 1.0))

    def left_s(self) -> float | None:
        """Seconds to the end; None before that can be told."""
        gone_s = self._clock() - self._began_s
        if self._first is None or self.share - self._first < 0.02 or gone_s < 2.0:
            return None
        return gone_s * (1.0 - self.share) / (self.share - self._first)
