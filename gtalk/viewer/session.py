"""One live conversation: a thread that turns the sound of now into the picture of now, 25 times a second.

    source ─▶ TalkSession.advance ─▶ moments ─▶ (late? dropped) ─▶ Talker.draw ─▶ JPEG ─▶ every listener's queue

The clock is the sound's: tick n covers samples [n, n + 1) * AUDIO_RATE / fps, played or silent. A tick
that comes late still takes its samples; only its picture is dropped. Every queue is bounded, and a slow
listener loses its own oldest pictures, nobody else's.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np

from gtalk.shapes import Float, UInt8
from gtalk.talk import Moment, Talker, TalkSession
from gtalk.types import AUDIO_RATE, Frame
from gtalk.viewer.sources import AudioSource

_LATE_S = 0.06  # a picture later than this is not worth drawing: the next is due
_HISTORY = 250  # ticks that the statistics look back over


@dataclass(frozen=True)
class LiveFrame:
    """What listeners get each tick."""

    time_s: float
    """Media time that the picture shows and the sound starts at."""
    jpeg: bytes | None
    """None for a dropped picture: its sound is still played."""
    samples: Float[np.ndarray, " N"]
    audible: bool
    """Whether the page plays the sound."""
    aperture: float
    """Opening of the inner lips in parts of the outer eye distance."""


@dataclass
class LiveStats:
    """Numbers of the last ten seconds, for the screen."""

    fps: float = 0.0
    latency_p50_ms: float = 0.0
    """From sound taken to picture handed out, look-ahead included."""
    latency_p95_ms: float = 0.0
    draw_p95_ms: float = 0.0
    dropped: int = 0
    """Pictures since the start that came too late to be drawn."""
    listeners: int = 0
    buffered_s: float = 0.0


@dataclass
class Listener:
    """A bounded queue of one viewer. When it is full, its oldest frame goes."""

    wake: Callable[[], None]
    frames: deque[LiveFrame] = field(default_factory=lambda: deque(maxlen=12))


class LiveSession:
    """Runs a Talker in real time. Thread-safe: panels and sockets call it from theirs.

    Args:
        talker: the avatar, its motion model, its edits; camera and background may change while it runs.
        jpeg_quality: 1 to 100.
        clock: seconds that never go back; tests give their own.
    """

    def __init__(self, talker: Talker, *, jpeg_quality: int = 85, clock: Callable[[], float] = time.monotonic) -> None:
        self.talker, self.jpeg_quality, self._clock = talker, jpeg_quality, clock
        self._talk: TalkSession = talker.session()
        self._source: AudioSource | None = None
        self._listeners: list[Listener] = []
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._taken: deque[tuple[float, bool]] = deque()  # when each tick's sound was taken, and whether it is audible
        self._n_ticks = 0
        self._start_s = 0.0
        self._latency_ms: deque[float] = deque(maxlen=_HISTORY)
        self._draw_ms: deque[float] = deque(maxlen=_HISTORY)
        self._shown_at: deque[float] = deque(maxlen=_HISTORY)
        self.n_dropped = 0
        self.last: Frame | None = None
        self.on_frame: Callable[[Frame], None] | None = None
        """Sees every drawn frame: the recorder."""

    def start(self) -> None:
        """Begin to live."""
        self._start_s = self._clock()
        self._thread = threading.Thread(target=self._run, name="gtalk-live", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def play(self, source: AudioSource | None) -> None:
        """Speak this source from now on; what was being said is interrupted."""
        with self._lock:
            if self._source is not None:
                self._talk.interrupt()
            self._source = source

    def interrupt(self) -> None:
        """Barge-in: drop the source and everything that waits, and ease the mouth shut."""
        with self._lock:
            self._source = None
            self._talk.interrupt()
            for listener in self._listeners:
                listener.frames.clear()

    @property
    def source(self) -> AudioSource | None:
        """What is being spoken."""
        return self._source

    def listen(self, wake: Callable[[], None]) -> Listener:
        """A new listener; `wake` is called (from the live thread) when a frame was put in its queue."""
        listener = Listener(wake)
        with self._lock:
            self._listeners.append(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """Forget a listener."""
        with self._lock:
            self._listeners = [other for other in self._listeners if other is not listener]

    def stats(self) -> LiveStats:
        """The last ten seconds."""
        with self._lock:
            shown = list(self._shown_at)
            span = shown[-1] - shown[0] if len(shown) > 1 else 0.0
            latency = np.percentile(self._latency_ms, [50, 95]) if self._latency_ms else np.zeros(2)
            return LiveStats(
                fps=(len(shown) - 1) / span if span > 0 else 0.0,
                latency_p50_ms=float(latency[0]),
                latency_p95_ms=float(latency[1]),
                draw_p95_ms=float(np.percentile(self._draw_ms, 95)) if self._draw_ms else 0.0,
                dropped=self.n_dropped,
                listeners=len(self._listeners),
                buffered_s=float(getattr(self._source, "buffered_s", 0.0)),
            )

    def tick(self) -> None:
        """One frame's worth of sound in, and the pictures that are due out."""
        with self._lock:
            begin = round(self._n_ticks * AUDIO_RATE / self.talker.fps)
            end = round((self._n_ticks + 1) * AUDIO_RATE / self.talker.fps)
            samples, audible = self._take(end - begin)
            self._taken.append((self._clock(), audible))
            self._n_ticks += 1
            moments = self._talk.advance(samples)
        for moment in moments:
            taken_at, audible = self._taken.popleft()
            late = self._clock() - (self._start_s + self._n_ticks / self.talker.fps) > _LATE_S
            self._show(moment, taken_at, audible, draw=not late)

    def _run(self) -> None:
        while not self._stop.is_set():
            wait = self._start_s + (self._n_ticks + 1) / self.talker.fps - self._clock()
            if wait > 0 and self._stop.wait(wait):
                return
            self.tick()

    def _take(self, count: int) -> tuple[np.ndarray, bool]:
        source = self._source
        samples = None if source is None else source.read(count)
        if source is not None and samples is None:
            self._source = None
        if samples is None:
            return np.zeros(count, np.float32), False
        return np.pad(samples, (0, count - len(samples))), bool(source and source.audible)

    def _show(self, moment: Moment, taken_at: float, audible: bool, *, draw: bool) -> None:
        jpeg = None
        if draw:
            begin = self._clock()
            frame = self.talker.draw([moment])[0]
            jpeg = encode_jpeg(frame.rgb, self.jpeg_quality)
            now = self._clock()
            self._draw_ms.append((now - begin) * 1e3)
            self._latency_ms.append((now - taken_at) * 1e3)
            self._shown_at.append(now)
            self.last = frame
            if self.on_frame is not None:
                self.on_frame(frame)
        else:
            self.n_dropped += 1
        live = LiveFrame(moment.time_s, jpeg, moment.samples, audible, aperture_of(moment))
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener.frames.append(live)
            listener.wake()


def aperture_of(moment: Moment) -> float:
    """Mean opening of the inner lips in parts of the outer eye distance."""
    lips = moment.motion.landmarks[0]
    gap = np.linalg.norm(lips[[61, 62, 63]] - lips[[67, 66, 65]], axis=1).mean()
    return float(gap / max(float(np.linalg.norm(lips[36] - lips[45])), 1e-9))


def encode_jpeg(rgb: UInt8[np.ndarray, "H W 3"], quality: int) -> bytes:
    """JPEG of a picture."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return data.tobytes()
