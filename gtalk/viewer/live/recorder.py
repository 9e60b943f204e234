"""Records what is seen, with its sound, to an mp4, beside the live thread."""

from __future__ import annotations

import queue
import shutil
import tempfile
import threading
from pathlib import Path

import cv2
import numpy as np

from gtalk.marks.identity import NOBODY, Identity
from gtalk.marks.label import Label, labelled
from gtalk.marks.provenance import provenance_tags, sign
from gtalk.media.output.writer import VideoWriter
from gtalk.shapes import Float, UInt8
from gtalk.talk import MotionFrame
from gtalk.types import AUDIO_RATE, Frame
from gtalk.viewer.live.session import LiveSession

RECORDING = "recording.mp4"
MOST_S = 3600.0
"""Of one recording, which ends by itself then."""
_WAITING_BYTES = 24_000_000  # of images that may wait for the encoder; past that they are left out, sound never
_Tick = tuple[UInt8[np.ndarray, "H W 3"] | None, Float[np.ndarray, " N"]]
_Ticks = queue.SimpleQueue[_Tick | None]


class Recorder:
    """Writes every tick of a live session between `start` and `stop`. A dropped image repeats the last one.

    Args:
        session: what is recorded.
        identity, label: whose likeness it is, and whether words say what it is; both go into the metadata.
        keys: certificate chain and key (PEM): recordings are signed with a C2PA manifest.
    """

    def __init__(
        self,
        session: LiveSession,
        identity: Identity = NOBODY,
        label: Label = "off",
        keys: tuple[Path, Path] | None = None,
    ) -> None:
        self._session, self._identity, self._keys = session, identity, keys
        self._label: Label = label
        self._ticks: _Ticks = queue.SimpleQueue()
        self._left = 0  # ticks until it ends by itself
        self._most_waiting = 1
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self.path: Path | None = None
        """The last recording."""
        self.problem = ""
        """Why the last one failed."""

    @property
    def running(self) -> bool:
        """Whether ticks are being written."""
        return self._thread is not None

    def start(self, path: Path | None = None) -> None:
        """Begin a recording, by default into a temporary file that goes with the next one or with `close`."""
        with self._lock:
            if self.running:
                return
            self._forget()
            if path is None:
                self._folder = Path(tempfile.mkdtemp(prefix="gtalk-"))
                path = self._folder / RECORDING
            talker = self._session.talker
            size = self._session.view.size or (talker.avatar.camera.width, talker.avatar.camera.height)
            even = (size[0] - size[0] % 2, size[1] - size[1] % 2)  # as encoders want it: an odd row or column goes
            tags = provenance_tags(self._identity, self._label)
            writer = VideoWriter(path, even, talker.fps, audio_rate=AUDIO_RATE, metadata=tags)
            self.path, self._ticks, self.problem = path, queue.SimpleQueue(), ""
            self._left, self._most_waiting = (
                round(MOST_S * talker.fps),
                max(2, _WAITING_BYTES // (3 * size[0] * size[1])),
            )
            self._thread = threading.Thread(target=self._work, args=(writer, size, self._ticks), name="gtalk-recorder")
            self._thread.start()
            self._session.on_moment = self._take

    def stop(self) -> Path | None:
        """End it and return the file; None when nothing was being recorded, or it failed: then `problem` says why."""
        with self._lock:
            if self._thread is None:
                return None
            self._session.on_moment = None
            self._ticks.put(None)
            self._thread.join()
            self._thread = None
            return None if self.problem else self.path

    def close(self) -> Path | None:
        """End it and delete temporary files; but one that was still running is finished, kept and returned."""
        running = self.running
        path = self.stop()
        if running and path is not None:
            return path
        self._forget()
        return None

    def _work(self, writer: VideoWriter, size: tuple[int, int], ticks: _Ticks) -> None:
        try:
            self._write(writer, size, ticks)
            if self._keys is not None:
                sign(writer.path, *self._keys, self._identity, writer.path.name)
        except Exception as error:  # a full disk, say: the conversation goes on without a recording
            self.problem = str(error) or type(error).__name__
            self._session.on_moment = None

    def _forget(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = self.path = None

    def _take(self, moment: MotionFrame, frame: Frame | None) -> None:
        self._left -= 1
        if self._left <= 0:
            self._session.on_moment = None
            return
        room = self._ticks.qsize() < self._most_waiting
        self._ticks.put((frame.rgb if frame is not None and room else None, moment.samples))

    def _write(self, writer: VideoWriter, size: tuple[int, int], ticks: _Ticks) -> None:
        width, height = writer.size
        shown = np.zeros((height, width, 3), np.uint8)
        with writer:
            while (tick := ticks.get()) is not None:
                image, samples = tick
                if image is not None:
                    same = image.shape[1::-1] == size
                    shown = image if same else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
                    shown = np.ascontiguousarray(shown[:height, :width])
                    shown = labelled(shown) if self._label == "on" else shown
                writer.write(shown)
                writer.write_audio(samples)
            if not writer.n_frames:  # stopped within its first tick
                writer.write(shown)
