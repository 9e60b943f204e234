"""What a visitor may cost: so many of something a second, and lines of the log that repeat."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

_WINDOW_S = 10.0
_LINES = 5  # of one kind in a window
_LONGEST = 300  # characters of a line
_KIND = 16  # characters that lines of one kind share


class Budget:
    """A token bucket: `burst` at once, `a_second` in the long run."""

    def __init__(self, a_second: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._a_second, self._burst, self._clock = a_second, burst, clock
        self._left, self._seen_s = burst, clock()

    def spend(self, cost: float = 1.0) -> bool:
        """Take `cost`; False, and nothing is taken, where so much is not left."""
        self._fill()
        if self._left < cost:
            return False
        self._left -= cost
        return True

    def owe(self, cost: float = 1.0) -> float:
        """Take `cost`, left or not. Returns the seconds until nothing is owed."""
        self._fill()
        self._left -= cost
        return max(0.0, -self._left / self._a_second)

    async def wait(self, cost: float = 1.0) -> None:
        """Take `cost`, as soon as so much is left."""
        if (delay_s := self.owe(cost)) > 0:
            await asyncio.sleep(delay_s)

    def _fill(self) -> None:
        now_s = self._clock()
        self._left = min(self._burst, self._left + (now_s - self._seen_s) * self._a_second)
        self._seen_s = now_s


class QuietLog:
    """Passes lines on; of those that repeat, a few in ten seconds, and then how many there were. From any thread."""

    def __init__(self, report: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._report, self._clock = report, clock
        self._since_s = clock()
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def __call__(self, line: str) -> None:
        """Report a line, or count it."""
        line = "".join(letter if letter.isprintable() else "?" for letter in line[:_LONGEST])
        kind = line[:_KIND]
        with self._lock:
            told = self._window()
            self._counts[kind] = self._counts.get(kind, 0) + 1
            if self._counts[kind] <= _LINES:
                told.append(line)
        for each in told:
            self._report(each)

    def _window(self) -> list[str]:
        if self._clock() - self._since_s < _WINDOW_S:
            return []
        counts, self._counts, self._since_s = self._counts, {}, self._clock()
        return [f"{n - _LINES} more lines as {kind!r}..." for kind, n in counts.items() if n > _LINES]
