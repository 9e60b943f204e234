"""Who speaks after whom: speech that waits until what is said before it is over."""

from __future__ import annotations

import threading
from collections import deque

from gtalk.viewer.audio.sources import AudioSource

MOST = 64
"""Utterances that may wait."""


class Line:
    """Sources in the order in which they are to be spoken. Thread-safe."""

    def __init__(self) -> None:
        self._waiting: deque[AudioSource] = deque()
        self._lock = threading.Lock()
        self.n_cleared = 0
        """How often everything was called off: what was meant to wait since before that is over too."""

    def __contains__(self, source: AudioSource) -> bool:
        with self._lock:
            return source in self._waiting

    def add(self, source: AudioSource) -> bool:
        """Behind all others; False where too many wait."""
        with self._lock:
            if len(self._waiting) >= MOST:
                return False
            self._waiting.append(source)
            return True

    def next(self) -> AudioSource | None:
        """Whose turn it is."""
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    def clear(self) -> None:
        """Nobody's."""
        with self._lock:
            self._waiting.clear()
            self.n_cleared += 1
