"""The sound of ticks as Opus, encoded once for all pages of a session."""

from __future__ import annotations

from collections import OrderedDict

from gtalk.media.output.opus import LiveOpus
from gtalk.viewer.live.frames import LiveFrame

_KEPT = 48  # ticks that a slow page may be behind


class Packets:
    """Pages come for the same ticks, each in its own time."""

    def __init__(self) -> None:
        self._opus, self._made = LiveOpus(), OrderedDict[float, bytes]()

    def of(self, frame: LiveFrame) -> bytes | None:
        """The packet of a tick; None where nothing is heard, for another length, and for one before the last."""
        if len(frame.samples) != LiveOpus.PIECE or not frame.audible or not frame.samples.any():
            return None
        if frame.time_s not in self._made:
            if self._made and frame.time_s < next(reversed(self._made)):
                return None
            self._made[frame.time_s] = self._opus(frame.samples)
            if len(self._made) > _KEPT:
                self._made.popitem(last=False)
        return self._made[frame.time_s]
