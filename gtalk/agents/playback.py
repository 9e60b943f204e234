"""What became of the sound that was handed to a transport: how much still waits there, how far playback is."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable


class Playback:
    """Counts sound in and out of somebody else's queue, which keeps its order.

    Until the first sound is known to have come out, nothing is known to wait.

    Args:
        later_s: from when sound is said to have come out until it has left: how long it takes to be packed.
        clock: seconds that never go back.
    """

    def __init__(self, later_s: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._later_s, self._clock, self._came_s = later_s, clock, 0.0
        self._given_s = self._played_s = 0.0
        self._marks: deque[tuple[float, float, bool]] = deque()  # (given so far, position then, whether speech)
        self._position_s = self._length_s = 0.0
        self._seen = False
        self._last_s = self._leaving_s = 0.0  # the last piece that came out; what was on its way when all was dropped

    def give(self, seconds: float, position_s: float, speaking: bool) -> None:
        """Hand out so much; `position_s` of the utterance at its end, where it is speech."""
        self._given_s, self._length_s = self._given_s + seconds, seconds
        self._marks.append((self._given_s, position_s, speaking))
        if not self._seen:
            self._played_s = self._given_s
            self._take()

    def play(self, seconds: float) -> None:
        """So much came out."""
        if not self._seen:  # what was handed out before this and never told of is no queue
            self._seen, self._played_s = True, self._given_s
            self._marks.clear()
            return
        self._came_s = self._clock()
        self._last_s, late_s = seconds, min(seconds, self._leaving_s)
        self._leaving_s -= late_s
        self._played_s = min(self._played_s + seconds - late_s, self._given_s)
        self._take()

    def forget(self) -> float:
        """What waits was dropped, but for the piece that is being sent; the position that was reached."""
        position_s = self.position_s
        self._leaving_s = min(self._last_s, self.waiting_s)
        self._position_s = 0.0
        self._marks.clear()
        self._played_s = self._given_s
        return position_s

    @property
    def waiting_s(self) -> float:
        """Of sound, speech or silence."""
        return self._given_s - self._played_s

    @property
    def position_s(self) -> float:
        """Of the utterance that is heard now. Pieces come out one by one; between two of them it goes on with time."""
        since_s = min(max(0.0, self._clock() - self._came_s), self._last_s, self.waiting_s) if self._seen else 0.0
        played_s = self._played_s + since_s - self._later_s
        position_s = self._position_s
        for given_s, then_s, speaking in self._marks:
            if given_s - self._length_s >= played_s:
                break
            position_s = then_s - max(0.0, given_s - played_s) if speaking and then_s else 0.0
        return max(0.0, position_s)

    def _take(self) -> None:
        """Forget what is long over."""
        while self._marks and self._marks[0][0] <= self._played_s - self._later_s + 1e-6:
            _, position_s, speaking = self._marks.popleft()
            self._position_s = position_s if speaking else 0.0
