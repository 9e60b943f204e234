"""Speech on stdin: sound of unknown length from another program; raw, WAV, or what FFmpeg decodes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np

from gtalk.errors import UserError
from gtalk.media.output.pipe import decode_pipe
from gtalk.shapes import Float
from gtalk.viewer.audio.pcm_stream import Compressed, PcmStream
from gtalk.viewer.audio.sources import PushSource
from gtalk.viewer.live.session import LiveSession

_PIECE_S = 0.02
_AHEAD_S = 0.5  # read ahead; past that the pipe's own buffer holds the writer back
_FIRST_BYTES = 64 * 1024  # that are kept until it is known what they are
_PAUSE_S = 0.5  # after a barge-in the rest is ignored, until a pause as long as this shows that it is over


def speak_pipe(pipe: BinaryIO, rate: int, session: LiveSession, report: Callable[[str], None]) -> threading.Thread:
    """Speak sound from a pipe until it ends, in a thread of its own.

    Raw sound is mono, 16-bit and little-endian, at `rate`; a header, where there is one, says something else.
    """
    thread = threading.Thread(target=_speak, args=(pipe, rate, session, report), name="gtalk-stdin", daemon=True)
    thread.start()
    return thread


def _speak(pipe: BinaryIO, rate: int, session: LiveSession, report: Callable[[str], None]) -> None:
    heard_s = -_PAUSE_S
    source: PushSource | None = None
    ended = "stdin ended"
    try:
        for samples, own_rate in _pieces(pipe, rate):
            paused, heard_s = time.monotonic() - heard_s >= _PAUSE_S, time.monotonic()
            if source is None or (paused and session.source is not source):
                source = PushSource("stdin", audible=True, bounded=False, limit_s=_AHEAD_S)
                session.play(source)
            if session.source is source:
                source.push(samples, own_rate)
            while source.full and session.source is source:
                time.sleep(_PIECE_S)
    except UserError as error:
        ended = f"stdin is not read any further: {error}"
    if source is not None:
        source.close()
    report(ended)


def _pieces(pipe: BinaryIO, rate: int) -> Iterator[tuple[Float[np.ndarray, " N"], int]]:
    """(mono samples, their rate) as they come. Raises UserError for what is no sound."""
    read: Callable[[int], bytes] = getattr(pipe, "read1", pipe.read)  # what is there now, not a whole piece
    size, begun = 2 * round(rate * _PIECE_S), b""
    stream = PcmStream(rate)
    while data := read(size):
        begun = (begun + data) if len(begun) < _FIRST_BYTES else begun
        try:
            yield from stream.push(data)
        except Compressed:
            yield from decode_pipe(begun, read)
            return
    yield from stream.push(b"", last=True)
