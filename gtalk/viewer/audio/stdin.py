"""Speech on stdin: raw sound of unknown length from another program."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import BinaryIO

from gtalk.viewer.audio.sources import PushSource
from gtalk.viewer.live.session import LiveSession
from gtalk.viewer.web.protocol import from_pcm

_PIECE_S = 0.02
_AHEAD_S = 0.5  # read ahead; past that the pipe's own buffer holds the writer back
_PAUSE_S = 0.5  # after a barge-in the rest is ignored, until a pause as long as this shows that it is over


def speak_pipe(pipe: BinaryIO, rate: int, session: LiveSession, report: Callable[[str], None]) -> threading.Thread:
    """Speak mono 16-bit little-endian sound from a pipe until it ends, in a thread of its own."""
    thread = threading.Thread(target=_speak, args=(pipe, rate, session, report), name="gtalk-stdin", daemon=True)
    thread.start()
    return thread


def _speak(pipe: BinaryIO, rate: int, session: LiveSession, report: Callable[[str], None]) -> None:
    size, rest = 2 * round(rate * _PIECE_S), b""
    read = getattr(pipe, "read1", pipe.read)  # what is there now, not a whole piece
    source: PushSource | None = None
    heard_s = -_PAUSE_S
    while data := read(size):
        paused, heard_s = time.monotonic() - heard_s >= _PAUSE_S, time.monotonic()
        data = rest + data
        rest = data[len(data) & ~1 :]
        if source is None or (paused and session.source is not source):
            source = PushSource("stdin", audible=True, bounded=False, limit_s=_AHEAD_S)
            session.play(source)
        if session.source is source:
            source.push(from_pcm(data[: len(data) & ~1]), rate)
        while source.full and session.source is source:
            time.sleep(_PIECE_S)
    if source is not None:
        source.close()
    report("stdin ended")
