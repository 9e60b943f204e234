"""What runs beside the images of a dub: its sound, and a clock of what takes how long."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from gtalk.media.output.writer import VideoWriter
from gtalk.media.soundtrack import Soundtrack
from gtalk.types import AUDIO_RATE


class Timed(Iterator):
    """An iterator that knows how long its items took to make."""

    def __init__(self, items: Iterator) -> None:
        self._items = items
        self.spent_s = 0.0

    def __next__(self) -> Any:
        start_s = time.perf_counter()
        try:
            return next(self._items)
        finally:
            self.spent_s += time.perf_counter() - start_s


class SoundInStep:
    """Hands the sound to the writer in step with the images."""

    def __init__(self, sound: Soundtrack | None, stop: int | None) -> None:
        self._pieces, self._rate = (iter(()), AUDIO_RATE) if sound is None else (sound.pieces(), sound.rate)
        self._stop = stop
        self.warnings: list[str] = []

    def write_until(self, writer: VideoWriter, time_s: float) -> None:
        """Write pieces until the sound reaches `time_s`."""
        while writer.n_samples < time_s * self._rate:
            piece = next(self._pieces, None)
            if piece is None:
                return
            room = len(piece) if self._stop is None else self._stop - writer.n_samples
            if room < len(piece):
                self.warnings.append("the sound is longer than the motion and was cut")
                self._pieces = iter(())
            writer.write_audio(piece[: max(0, room)])
