"""Records what is seen, with its sound, to an mp4."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

import numpy as np

from gtalk.media.writer import VideoWriter
from gtalk.types import AUDIO_RATE, Frame
from gtalk.viewer.session import LiveSession


class Recorder:
    """Writes every frame of a live session between `start` and `stop`. A dropped picture repeats the last one."""

    def __init__(self, session: LiveSession) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._writer: VideoWriter | None = None
        self._path: Path | None = None
        self._next_s = 0.0

    @property
    def running(self) -> bool:
        """Whether frames are being written."""
        return self._writer is not None

    def start(self, path: Path | None = None) -> None:
        """Begin a recording, into a temporary file by default."""
        talker = self._session.talker
        size = talker.size or (talker.avatar.camera.width, talker.avatar.camera.height)
        self._path = path or Path(tempfile.mkdtemp(prefix="gtalk-")) / "recording.mp4"
        with self._lock:
            self._writer = VideoWriter(self._path, size, talker.fps, audio_rate=AUDIO_RATE)
            self._next_s = -1.0
        self._session.on_frame = self._take

    def stop(self) -> Path | None:
        """End it and return the file; None when nothing was being recorded."""
        self._session.on_frame = None
        with self._lock:
            if self._writer is None:
                return None
            self._writer.close()
            self._writer = None
        return self._path

    def _take(self, frame: Frame) -> None:
        with self._lock:
            if self._writer is None:
                return
            step = 1 / self._session.talker.fps
            if self._next_s < 0:
                self._next_s = frame.time_s
            while self._next_s < frame.time_s - step / 2:
                self._writer.write(frame.rgb)
                self._writer.write_audio(np.zeros(round(AUDIO_RATE * step), np.float32))
                self._next_s += step
            self._writer.write(frame.rgb)
            self._writer.write_audio(frame.samples)
            self._next_s += step
