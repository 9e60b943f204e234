"""Times that only go onwards, whatever a session does: for streams that others follow."""

from __future__ import annotations

from gtalk.types import AUDIO_RATE
from gtalk.viewer.live.frames import LiveFrame

_JUMP_S = 1.0  # a step of the session's time that is a new beginning of it


class Onwards:
    """Seconds since the first tick that it was given; a session that began anew goes on after its last tick."""

    def __init__(self) -> None:
        self._zero_s: float | None = None  # the session's time at the beginning
        self._last_s = 0.0

    def __call__(self, frame: LiveFrame) -> float:
        """When this tick is."""
        if self._zero_s is None:
            self._zero_s = frame.time_s
        time_s = frame.time_s - self._zero_s
        if not 0 < time_s - self._last_s < _JUMP_S and time_s:
            self._zero_s += time_s - self._last_s - len(frame.samples) / AUDIO_RATE
            time_s = frame.time_s - self._zero_s
        self._last_s = time_s
        return time_s
