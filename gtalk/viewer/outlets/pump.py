"""Carries every tick of a session to an outlet, in a thread of its own, and opens the outlet anew when it breaks.

    LiveSession ─▶ Listener ─▶ Pump ─▶ Sink (a broadcast, a camera, a loudspeaker)

A slow outlet loses its own oldest ticks; the session never waits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, runtime_checkable

import numpy as np

from gtalk.marks.label import labelled
from gtalk.shapes import Float, UInt8
from gtalk.viewer.live.frames import Listener, LiveFrame
from gtalk.viewer.live.onwards import Onwards
from gtalk.viewer.live.session import LiveSession

_BACK_OFF_S = (1.0, 2.0, 5.0, 10.0, 30.0)
_SURE_TICKS = 25  # by then a connection that cannot be has failed
_STEADY_S = 20.0  # an outlet that held so long begins with the shortest wait again


@runtime_checkable
class Sink(Protocol):
    """What an outlet is to its pump. All may raise OSError: it broke."""

    def send(self, rgb: UInt8[np.ndarray, "H W 3"] | None, samples: Float[np.ndarray, " N"], time_s: float) -> None:
        """A tick: its image where one is, its sound at AUDIO_RATE, its time since the first."""
        ...

    def flush(self) -> None:
        """Somebody cut in: what waits is to be forgotten."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class Pump:
    """One outlet of one session.

    Args:
        session: what is carried.
        name: of the outlet, in reports.
        make: opens it; raises OSError (UserError too) where it cannot.
        report: gets a line for each change.
        label: whether words in the picture say that it is generated.
        pictures: whether the outlet shows any.
        everything: carry the sound of a microphone that drives the face too, which the page does not play.
    """

    def __init__(
        self,
        session: LiveSession,
        name: str,
        make: Callable[[], Sink],
        report: Callable[[str], None],
        *,
        label: bool = False,
        pictures: bool = True,
        everything: bool = True,
    ) -> None:
        self._session, self._name, self._make, self._report = session, name, make, report
        self._label, self._pictures, self._everything = label, pictures, everything
        self._stop, self._there = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, now: bool = False) -> None:
        """Begin. `now`: open the outlet before this returns; raises what opening it raises."""
        first = self._make() if now else None
        self._thread = threading.Thread(target=self._run, args=(first,), name=f"gtalk {self._name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it; waits for the outlet to let go, a little."""
        self._stop.set()
        self._there.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _run(self, sink: Sink | None) -> None:
        failures = 0
        while not self._stop.is_set():
            begun_s, error = time.monotonic(), None
            try:
                sink = sink or self._make()
                self._carry(sink)
            except Exception as fault:  # whatever it is, the conversation lives on
                error = fault
            if sink is not None:
                with suppress(Exception):
                    sink.close()
                sink = None
            if error is None:
                return
            failures = 0 if time.monotonic() - begun_s > _STEADY_S else failures
            wait_s = _BACK_OFF_S[min(failures, len(_BACK_OFF_S) - 1)]
            failures += 1
            words = str(error) or type(error).__name__
            self._report(f"{self._name}: {words}; trying again in {wait_s:.0f} s")
            self._stop.wait(wait_s)

    def _carry(self, sink: Sink) -> None:
        listener = self._session.listen(self._there.set, encodes=self._pictures)
        listener.apart = not self._pictures
        onwards, sent = Onwards(), 0
        try:
            while not self._stop.is_set():
                self._there.wait()
                self._there.clear()
                if listener.flushed:
                    listener.flushed = False
                    sink.flush()
                while (frame := _next(listener)) is not None and not self._stop.is_set():
                    rgb = self._picture(frame)
                    sink.send(rgb, self._sound(frame), onwards(frame))
                    sent += rgb is not None or not self._pictures
                    if sent == _SURE_TICKS:
                        sent += 1
                        self._report(f"{self._name}: on")
        finally:
            self._session.leave(listener)

    def _picture(self, frame: LiveFrame) -> np.ndarray | None:
        if frame.picture is None or not self._pictures:
            return None
        return labelled(frame.picture.rgb) if self._label else frame.picture.rgb

    def _sound(self, frame: LiveFrame) -> np.ndarray:
        return frame.samples if frame.audible or self._everything else np.zeros_like(frame.samples)


def _next(listener: Listener) -> LiveFrame | None:
    with suppress(IndexError):
        return listener.frames.popleft()
    return None
