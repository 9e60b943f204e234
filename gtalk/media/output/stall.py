"""Ends connections that stall: FFmpeg as PyAV opens it waits for ever for a server that no longer reads."""

from __future__ import annotations

import os
import socket
import stat
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

_LOOK_EVERY_S = 0.5
_PORTS = {"rtmp": 1935, "rtmps": 443}


class StallGuard:
    """Shuts this process's TCP connections to the place of a URL when a call takes too long; the call then fails.

    Args:
        url: whose host and port are meant.
        patience_s: how long a call may take.
    """

    def __init__(self, url: str, patience_s: float) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
        self._patience_s, self._busy_s = patience_s, 0.0
        self._over = threading.Event()
        threading.Thread(target=self._watch, name="gtalk stall", daemon=True).start()

    @contextmanager
    def call(self):
        """One call that may stall."""
        self._busy_s = time.monotonic()
        try:
            yield
        finally:
            self._busy_s = 0.0

    def close(self) -> None:
        """Watch no more."""
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_EVERY_S):
            busy_s = self._busy_s
            if busy_s and time.monotonic() - busy_s > self._patience_s:
                with suppress(OSError):
                    self._cut()

    def _cut(self) -> None:
        places = {info[4][:2] for info in socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)}
        for entry in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                if not stat.S_ISSOCK(entry.stat().st_mode):
                    continue
                with socket.socket(fileno=os.dup(int(entry.name))) as one:
                    if one.type == socket.SOCK_STREAM and one.getpeername()[:2] in places:
                        one.shutdown(socket.SHUT_RDWR)
