"""What became of the sound that was handed to a transport: how much still waits there, how far playback is."""

from __future__ import annotations

from collections import deque


class Playback:
    """Counts sound in and out of somebody else's queue, which keeps its order.

    Until the first sound is known to have come out, nothing is known to wait.
    """

    def __init__(self) -> None:
        self._given_s = self._played_s = 0.0
        self._marks: deque[tuple[float, float, bool]] = deque()  # (given so far, position then, whether speech)
        self._position_s = 0.0
        self._seen = False

    def give(self, seconds: float, position_s: float, speaking: bool) -> None:
        """Hand out so much; `position_s` of the utterance at its end, where it is speech."""
        self._given_s += seconds
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
        self._played_s = min(self._played_s + seconds, self._given_s)
        self._take()

    def forget(self) -> float:
        """What waits was dropped; the position that was reached."""
        position_s, self._position_s = self._position_s, 0.0
        self._marks.clear()
        self._played_s = self._given_s
        return position_s

    @property
    def waiting_s(self) -> float:
        """Of sound, speech or silence."""
        return self._given_s - self._played_s

    @property
    def position_s(self) -> float:
        """Of the utterance that is heard now."""
        return self._position_s

    def _take(self) -> None:
        while self._marks and self._marks[0][0] <= self._played_s + 1e-6:
            _, position_s, speaking = self._marks.popleft()
            self._position_s = position_s if speaking else 0.0
        if self._marks and self._marks[0][2] and self._marks[0][1]:
            given_s, position_s, _ = self._marks[0]
            self._position_s = max(0.0, position_s - (given_s - self._played_s))
