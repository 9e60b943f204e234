"""How far the making of an avatar is, and how long it will still take."""

from __future__ import annotations

import time
from collections.abc import Callable

WEIGHTS = {
    "train": {
        "media": 7, "landmarks": 19, "sync": 4, "track": 24, "masks": 47, "background": 20, "torso": 14, "report": 3,
        "motion features": 3, "motion": 7, "fit": 85,
    },
}  # fmt: skip
"""Seconds that the stages took in one run, for their shares; any other job is one stage. Stages that run beside another
(the lips beside the fit) stand before it with what they add to it."""


class Pace:
    """Share and time left of a job whose stages report in about this order; what is passed over counts as done."""

    def __init__(self, kind: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._weights, self._clock = WEIGHTS.get(kind, {}), clock
        self._began_s = clock()
        self._first: float | None = None
        self._parts = dict.fromkeys(self._weights, 0.0)
        self.share = 0.0
        self.stage = ""

    def report(self, stage: str, done: int, total: int | None) -> None:
        """A stage is so far."""
        inside = min(1.0, done / total) if total else 0.0
        if not self._weights:
            share = inside
        elif stage in self._parts:
            names = list(self._parts)
            passed = [name for name in names[: names.index(stage)] if not self._parts[name]]
            self._parts |= dict.fromkeys(passed, 1.0) | {stage: inside}
            share = sum(self._weights[name] * part for name, part in self._parts.items()) / sum(self._weights.values())
        else:
            share = self.share
        running = [name for name, part in self._parts.items() if 0.0 < part < 1.0]
        self.stage = running[-1] if running else stage
        if self._first is None:
            self._first, self._began_s = share, self._clock()
        self.share = max(self.share, min(share, 1.0))

    def left_s(self) -> float | None:
        """Seconds to the end; None before that can be told."""
        gone_s = self._clock() - self._began_s
        if self._first is None or self.share - self._first < 0.02 or gone_s < 2.0:
            return None
        return gone_s * (1.0 - self.share) / (self.share - self._first)
