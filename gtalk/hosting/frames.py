"""What a client sends into a WebSocket: frames are counted before anything answers or gathers them.

Libraries answer pings before anybody asks how many, and gather the fragments of a message before its size is known
(RFC 6455, 5.4 and 5.5.2): both are bounded here, and so is how many frames a second are looked at.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from gtalk.hosting.budget import Budget

_FRAMES_A_SECOND, _FRAMES_AT_ONCE = 250.0, 1000.0  # a microphone sends 200; a line that stalled brings more
_PINGS_A_SECOND, _PINGS_AT_ONCE = 2.0, 20.0
_MOST_FRAGMENTS = 64
_CONTROL, _CONTINUATION = 8, 0


class BadFrames(Exception):
    """Frames that no client of ours sends."""


class FrameGate:
    """Counts the frames of one connection. Bytes come in pieces of any size."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._frames = Budget(_FRAMES_A_SECOND, _FRAMES_AT_ONCE, clock)
        self._pings = Budget(_PINGS_A_SECOND, _PINGS_AT_ONCE, clock)
        self._head = b""
        self._skip = 0  # bytes of the frame's payload that are still to come
        self._fragments = 0

    def feed(self, piece: bytes) -> float:
        """Bytes that go by. Returns the seconds to wait before more are taken. Raises BadFrames."""
        wait_s, place = 0.0, 0
        while place < len(piece):
            if self._skip:
                taken = min(self._skip, len(piece) - place)
                self._skip, place = self._skip - taken, place + taken
                continue
            taken = min(_head_size(self._head + piece[place : place + 2]) - len(self._head), len(piece) - place)
            self._head, place = self._head + piece[place : place + taken], place + taken
            if len(self._head) == _head_size(self._head) > 1:
                self._count(self._head)
                self._skip, self._head = _payload(self._head), b""
                wait_s = max(wait_s, self._frames.owe())
        return wait_s

    def _count(self, head: bytes) -> None:
        last, kind = bool(head[0] & 0x80), head[0] & 0x0F
        if kind >= _CONTROL:
            if not self._pings.spend():
                raise BadFrames("too many pings")
            return
        if kind == _CONTINUATION and not last and not _payload(head):
            raise BadFrames("fragments without content")
        self._fragments = 0 if last else self._fragments + 1
        if self._fragments > _MOST_FRAGMENTS:
            raise BadFrames("a message in too many fragments")


def _head_size(head: bytes) -> int:
    """Bytes of a frame's header, as far as its first two tell; 2 before they are known."""
    if len(head) < 2:
        return 2
    return 2 + {126: 2, 127: 8}.get(head[1] & 0x7F, 0) + (4 if head[1] & 0x80 else 0)


def _payload(head: bytes) -> int:
    """Bytes that follow a whole header."""
    short = head[1] & 0x7F
    return int.from_bytes(head[2 : 2 + {126: 2, 127: 8}[short]], "big") if short >= 126 else short
