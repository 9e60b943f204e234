"""Other people's servers: one request, its answer in pieces as they come, bounded, timed, and cut off at will.

    call = Call("http://localhost:11434/v1/chat/completions", "--llm", "an endpoint that answers", patience_s=20)
    for piece in call.post(body, "application/json"):      # call.cancel() from any thread ends it
        ...

Nothing is sent anywhere but to the address that is given; redirections are not followed.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gtalk.errors import UserError

MOST_ANSWER_BYTES = 1_000_000
_PIECE = 65_536
_MOST_WORDS = 200  # of a refusal that are told


@dataclass(eq=False)
class Call:
    """One request to a server."""

    url: str
    who: str
    """Whose fault it is when it fails: the option that named the address."""
    expected: str
    patience_s: float = 60.0
    """For the whole answer, from the first byte sent to the last received, however slowly it drips."""
    key_variable: str = ""
    """Environment variable whose value is sent as the bearer token."""
    most_bytes: int = MOST_ANSWER_BYTES
    cancelled: bool = field(default=False, init=False)
    _socket: socket.socket | None = field(default=None, init=False)
    _over: bool = field(default=False, init=False)

    def cancel(self) -> None:
        """End it now, from any thread: `post` yields nothing more and raises nothing."""
        self.cancelled = True
        self._cut()

    def post(self, body: bytes, content_type: str, accept: str = "application/json") -> Iterator[bytes]:
        """The answer's body in pieces. Raises UserError for a server that is dead, slow, refuses, or says too much."""
        headers = {"Content-Type": content_type, "Accept": accept}
        if key := os.environ.get(self.key_variable or " "):
            headers["Authorization"] = f"Bearer {key}"
        until_s = time.monotonic() + self.patience_s
        watch = threading.Timer(self.patience_s, self._end)
        watch.daemon = True
        connection = self._connection()
        try:
            yield from self._pieces(connection, watch, body, headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if self.cancelled:
                return
            if isinstance(error, UserError):
                raise
            if self._over or isinstance(error, TimeoutError) or time.monotonic() >= until_s:
                raise self._slow() from error
            raise self.failed(f"{type(error).__name__}: {error}"[:200], "Is the server running there?") from error
        finally:
            watch.cancel()
            self._socket = None
            connection.close()
        if self._over and not self.cancelled:  # cut off in the middle
            raise self._slow()

    def failed(self, got: str, remedy: str) -> UserError:
        """An error in the words of this call."""
        return UserError(f"{self.who} {self.url[:80]}".strip(), expected=self.expected, got=got, remedy=remedy)

    def _pieces(
        self, connection: http.client.HTTPConnection, watch: threading.Timer, body: bytes, headers: dict[str, str]
    ) -> Iterator[bytes]:
        connection.connect()
        self._socket = connection.sock
        watch.start()
        if self.cancelled:
            return
        parts = urlsplit(self.url)
        connection.request("POST", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), body, headers)
        response = connection.getresponse()
        if response.status != http.HTTPStatus.OK:
            words = " ".join(response.read(_MOST_WORDS).decode("utf-8", "replace").split())
            key = f", and ${self.key_variable}" if self.key_variable else ""
            raise self.failed(f"status {response.status} {response.reason}: {words}",
                              f"Check the address and the model's name{key}.")  # fmt: skip
        size = 0
        while piece := response.read1(_PIECE):
            size += len(piece)
            if size > self.most_bytes:
                raise self.failed(f"more than {self.most_bytes} bytes", "Use another model.")
            yield piece
            if self.cancelled:
                return

    def _connection(self) -> http.client.HTTPConnection:
        try:
            parts = urlsplit(self.url)
            host, port = parts.hostname, parts.port
        except ValueError:  # no port, no IPv6 address
            parts, host, port = None, None, None
        if parts is None or parts.scheme not in ("http", "https") or not host:
            raise self.failed(f"the address {self.url[:80]!r}", "Write for example http://localhost:11434/v1.")
        if parts.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, port, timeout=self.patience_s, context=context)
        return http.client.HTTPConnection(host, port, timeout=self.patience_s)

    def _slow(self) -> UserError:
        return self.failed(f"nothing whole within {self.patience_s:g} s", "Try again later.")

    def _end(self) -> None:
        self._over = True
        self._cut()

    def _cut(self) -> None:
        sock = self._socket
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
