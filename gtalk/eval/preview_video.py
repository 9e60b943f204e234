"""A short film for the report: images side by side, with their sound, small enough to live inside a page."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from gtalk.media.output.writer import VideoWriter, WriteConfig
from gtalk.shapes import Float, UInt8
from gtalk.types import AUDIO_RATE

MOST_S = 20.0
PANEL_PX = 288
MOST_BYTES = 6_000_000
DIFFERENCE_GAIN = 4.0


class PreviewVideo:
    """Takes panels frame by frame; `finish` gives an H.264 mp4 as bytes."""

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._folder = tempfile.TemporaryDirectory(prefix="gtalk-eval-")
        self._path = Path(self._folder.name) / "film.mp4"
        self._writer: VideoWriter | None = None
        self.n_panels = 0

    @property
    def full(self) -> bool:
        """Whether no more frames are wanted."""
        return self._writer is not None and self._writer.n_frames >= MOST_S * self._fps

    def add(self, panels: Sequence[UInt8[np.ndarray, "H W 3"]], samples: Float[np.ndarray, " N"]) -> None:
        """One instant: images of one size from left to right, and its sound at 16 kHz."""
        if self.full:
            return
        height, width = panels[0].shape[:2]
        scale = min(1.0, PANEL_PX / max(width, height))
        size = tuple(max(2, round(side * scale) // 2 * 2) for side in (width, height))
        row = np.hstack([cv2.resize(panel, size, interpolation=cv2.INTER_AREA) for panel in panels])
        if self._writer is None:
            self.n_panels = len(panels)
            config = WriteConfig(codec="h264", crf=24, audio_bit_rate=64_000)
            self._writer = VideoWriter(self._path, (row.shape[1], row.shape[0]), self._fps, AUDIO_RATE, config)
        self._writer.write(row)
        self._writer.write_audio(samples)

    def finish(self) -> bytes | None:
        """The film; None when nothing was added or it grew beyond MOST_BYTES."""
        if self._writer is None:
            self._folder.cleanup()
            return None
        self._writer.close()
        data = self._path.read_bytes()
        self._folder.cleanup()
        return data if len(data) <= MOST_BYTES else None


def difference(a: UInt8[np.ndarray, "H W 3"], b: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
    """Absolute difference, DIFFERENCE_GAIN times."""
    return cv2.convertScaleAbs(cv2.absdiff(a, b), alpha=DIFFERENCE_GAIN)
