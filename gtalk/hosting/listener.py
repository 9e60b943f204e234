"""Admits connections at a bounded pace and hands each to its protocol; the system's own queue holds the rest."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

from starlette.types import ASGIApp
from uvicorn import Config
from uvicorn.server import ServerState

from gtalk.hosting.budget import Budget
from gtalk.hosting.protocols import HEAD_LIMIT, HEAD_TIMEOUT_S, PageProtocol, SocketProtocol
from gtalk.hosting.visits import MOST_PASSING, MOST_PASSING_TLS, Visit, Visits

ARRIVALS_A_SECOND, ARRIVALS_AT_ONCE = 15.0, 192.0  # a refused socket takes 1.4 ms of a core
MOST_MESSAGE_BYTES = 640 * 1024  # of a socket; routes take less
_BACKLOG = 512
_END_S = 2.0


class Listener:
    """One port, with an ASGI application behind it.

    Args:
        app: what is served.
        report: gets one line for what is refused before the application sees it.
        tls: for https.
    """

    def __init__(self, app: ASGIApp, report: Callable[[str], None], tls: ssl.SSLContext | None = None) -> None:
        self._tls, self._report = tls, report
        self.visits = Visits(MOST_PASSING if tls is None else MOST_PASSING_TLS)
        self.arrivals = Budget(ARRIVALS_A_SECOND, ARRIVALS_AT_ONCE)
        self._state = ServerState()
        self._config = Config(
            app, http=PageProtocol, ws=SocketProtocol, lifespan="off", log_config=None, log_level="critical",
            access_log=False, proxy_headers=False, server_header=False, date_header=False, ws_per_message_deflate=False,
            ws_max_size=MOST_MESSAGE_BYTES, h11_max_incomplete_event_size=2 * HEAD_LIMIT,
        )  # fmt: skip
        self._config.load()
        self._listening: list[tuple[socket.socket, asyncio.Task[None]]] = []
        self._opening: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> int:
        """Begin to listen. Returns the port. Raises OSError when it is taken."""
        listeners = await asyncio.to_thread(_listen, host, port)
        self._listening = [(each, asyncio.create_task(self._take_up(each))) for each in listeners]
        return listeners[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and end every connection."""
        for listener, task in self._listening:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            listener.close()
        for visit in self.visits.all:
            visit.end()
        tasks = {*self._state.tasks, *self._opening}
        if tasks:
            await asyncio.wait(tasks, timeout=_END_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _take_up(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self.arrivals.wait()
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:  # too many open files, say
                self._report(f"a connection failed: {error}")
                await asyncio.sleep(1.0)
                continue
            visit = Visit(self.visits, self._report)
            task = asyncio.create_task(self._open(connection, visit))
            visit.end = task.cancel
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
            self.visits.enter(visit)

    async def _open(self, connection: socket.socket, visit: Visit) -> None:
        """Hand a connection to its protocol; the TLS handshake is a part of it, and takes no longer than a head may."""
        loop = asyncio.get_running_loop()
        waits = {} if self._tls is None else {"ssl_handshake_timeout": HEAD_TIMEOUT_S, "ssl_shutdown_timeout": 1.0}

        def protocol() -> PageProtocol:
            return PageProtocol(self._config, self._state, {"visit": visit}, _loop=loop)

        try:
            await loop.connect_accepted_socket(protocol, connection, ssl=self._tls, **waits)
        except (OSError, ssl.SSLError):
            visit.leave()  # it never spoke, or not this language
        except asyncio.CancelledError:
            visit.leave()
            with contextlib.suppress(OSError):
                connection.close()
            raise


def _listen(host: str, port: int) -> list[socket.socket]:
    """Sockets for every address of `host`, all on one port. Raises OSError when it is taken."""
    listeners: list[socket.socket] = []
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            listener = socket.socket(family, kind, protocol)
            listeners.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind((address[0], port, *address[2:]))
            listener.listen(_BACKLOG)
            listener.setblocking(False)
            port = listener.getsockname()[1]
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    return listeners
