"""The one public port: the page, the sockets and viser behind it, with the checks in one place.

Every connection's request head is read here, bounded in size and time, and checked: host, whether another
site asks, origin of WebSockets, token. Then a small file is answered, an MJPEG stream is written, or the
bytes are piped to a WebSocket server, which listens on loopback only.

Connections that have not yet got what they came for pass: there is room for so many, and the oldest makes way for the
next, so that who says nothing shuts out nobody. Those that stay (sockets, streams, downloads) have places of their own.
New ones are taken up at a bounded pace; the system's own queue holds the rest.
"""

from __future__ import annotations

import asyncio
import hmac
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from gtalk.viewer.web.asgi import answer_asgi
from gtalk.viewer.web.budget import Budget
from gtalk.viewer.web.gate import BadFrames, FrameGate
from gtalk.viewer.web.http import (
    HEAD_LIMIT,
    INNER_HEADER,
    WITH_BODIES,
    Asgi,
    Download,
    Head,
    Moved,
    Page,
    Refused,
    Route,
    Router,
    Stream,
    Upstream,
    close,
    is_loopback,
    read_head,
    write_file,
    write_moved,
    write_page,
    write_stream,
)

_HEAD_TIMEOUT_S = 10.0
_ANSWER_S = 30.0
_MOST_PASSING, _MOST_STAYING = 128, 96
_MOST_PASSING_TLS = 48  # each holds a quarter of a megabyte
_ARRIVALS_A_SECOND, _ARRIVALS_AT_ONCE = 40.0, 256.0
_BACKLOG = 512
_GUESS_S = 0.5  # what a wrong token waits for its answer
_PIPE_BYTES = 64 * 1024
_LINGER_S = 0.5
COOKIE, KEY_COOKIE = "gtalk_token", "gtalk_page"


class Front:
    """Listens on one port and sends each request where its path says.

    Args:
        router: finds the route of a path; may raise Refused.
        token: what visitors must show as `?token=` or cookie; None asks nobody.
        allowed_hosts: accepted Host names; None accepts all (a token protects then).
        report: gets one line for every refused request.
        key: what the page's own sockets show as `?key=`; None lets them in by their Origin alone.
    """

    def __init__(
        self,
        router: Router,
        *,
        token: str | None,
        allowed_hosts: set[str] | None,
        report: Callable[[str], None],
        key: str | None = None,
    ) -> None:
        self._router, self._token, self._hosts, self._report = router, token, allowed_hosts, report
        self._key = key
        self.framed_by = ""
        """Origins, beside its own, whose pages may show these in a frame; set before the first visitor."""
        self._tls: ssl.SSLContext | None = None
        self._arrivals = Budget(_ARRIVALS_A_SECOND, _ARRIVALS_AT_ONCE)
        self._listening: list[tuple[socket.socket, asyncio.Task[None]]] = []
        self._visits: set[asyncio.Task[None]] = set()
        self._passing: dict[asyncio.Task[None], None] = {}  # in the order of their coming
        self._n_staying = 0

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None) -> int:
        """Begin to listen. Returns the port. Raises OSError when it is taken."""
        self._tls = tls
        listeners = await asyncio.to_thread(_listen, host, port)
        self._listening = [(each, asyncio.create_task(self._take_up(each))) for each in listeners]
        return listeners[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and end every connection."""
        for listener, task in self._listening:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            listener.close()
        for visit in list(self._visits):
            visit.cancel()
        await asyncio.gather(*self._visits, return_exceptions=True)

    @property
    def n_open(self) -> int:
        """Connections that are open."""
        return len(self._visits)

    async def _take_up(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._arrivals.wait()
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:  # too many open files, say
                self._report(f"a connection failed: {error}")
                await asyncio.sleep(1.0)
                continue
            if len(self._passing) >= (_MOST_PASSING if self._tls is None else _MOST_PASSING_TLS):
                oldest = next(iter(self._passing))
                del self._passing[oldest]
                oldest.cancel()
            visit = asyncio.create_task(self._serve(connection))
            self._visits.add(visit)
            self._passing[visit] = None

    async def _serve(self, connection: socket.socket) -> None:
        visit = asyncio.current_task()
        assert visit is not None
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(_HEAD_TIMEOUT_S):
                reader, writer = await _open(connection, self._tls)
                head = await read_head(reader)
            try:
                await self._answer(head, reader, writer, visit)
            except Refused as refusal:
                await self._refuse(refusal, head, writer)
        except Refused as refusal:  # of a head that is none
            assert writer is not None
            await self._refuse(refusal, None, writer)
        except (TimeoutError, OSError, ssl.SSLError, asyncio.IncompleteReadError):
            pass  # the client left or never spoke; nothing of its remains
        except Exception as error:  # a session that cannot be opened, say: this visitor's loss alone
            self._report(f"failed: {type(error).__name__}: {error}")
            if writer is not None:
                words = Page("text/plain", b"something broke; the server's log says what\n")
                with suppress(OSError):
                    await write_page(writer, HTTPStatus.INTERNAL_SERVER_ERROR, words)
        finally:
            self._visits.discard(visit)
            self._passing.pop(visit, None)
            if writer is None:
                connection.close()
            else:
                await close(writer)

    async def _refuse(self, refusal: Refused, head: Head | None, writer: asyncio.StreamWriter) -> None:
        self._report(f"refused: {refusal.status.value} {refusal.why}")
        if refusal.status == HTTPStatus.UNAUTHORIZED and head is not None and head.query("token"):
            await asyncio.sleep(_GUESS_S)
        async with asyncio.timeout(_ANSWER_S):
            await write_page(writer, refusal.status, Page("text/plain", (refusal.why + "\n").encode()), head)

    async def _answer(
        self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, visit: asyncio.Task[None]
    ) -> None:
        self._check_host(head)
        _check_site(head)
        given = self._check_token(head)
        if head.is_upgrade:
            self._check_origin(head)  # before its path is looked at: that may open a session
        elif head.method not in {"GET", "HEAD"}:
            if not head.path.endswith(WITH_BODIES):
                raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "only GET is served here")
            self._check_origin(head)
        route = await self._router(head.path)
        if not head.is_upgrade and head.method not in (route.methods if isinstance(route, Asgi) else {"GET", "HEAD"}):
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "only GET is served here")
        if route is None:
            raise Refused(HTTPStatus.NOT_FOUND, "no such page")
        if isinstance(route, Upstream) and not head.is_upgrade:
            route = self._beside(route, head)
        if isinstance(route, Asgi):
            async with asyncio.timeout(_ANSWER_S):
                await answer_asgi(route, head, reader, writer)
            return
        if isinstance(route, Page | Moved):
            async with asyncio.timeout(_ANSWER_S):
                await self._write(route, head, writer, given)
            return
        if self._n_staying >= _MOST_STAYING:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, f"{_MOST_STAYING} look already, as many as this server takes")
        self._n_staying += 1
        self._passing.pop(visit, None)
        try:
            await self._stay(route, head, reader, writer)
        finally:
            self._n_staying -= 1

    def _beside(self, route: Upstream, head: Head) -> Page:
        """What a socket's path answers to who wants no socket."""
        if route.page is not None:
            return route.page
        if (asked := head.query("origin")) is None:
            raise Refused(HTTPStatus.UPGRADE_REQUIRED, "a WebSocket is here")
        # The page wants to know why its socket fails.
        return Page("text/plain", (self._origin_problem(head, asked) or _NO_UPGRADE).encode())

    async def _write(self, route: Page | Moved, head: Head, writer: asyncio.StreamWriter, given: str | None) -> None:
        if isinstance(route, Moved):
            await write_moved(writer, route, head)
            return
        kept = {COOKIE: given, KEY_COOKIE: self._key if route.content_type == "text/html" else None}
        rules = "HttpOnly; SameSite=Strict; Path=/" + ("; Secure" if self._tls is not None else "")
        cookies = [f"{name}={quote(value, safe='')}; {rules}" for name, value in kept.items() if value]
        policy = route.policy.replace("frame-ancestors 'self'", f"frame-ancestors 'self' {self.framed_by}".strip())
        await write_page(writer, HTTPStatus.OK, replace(route, policy=policy), head, cookies)

    async def _stay(self, route: Route, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if isinstance(route, Stream):
            await write_stream(writer, route)
        elif isinstance(route, Download):
            await write_file(writer, route)
        elif isinstance(route, Upstream):
            if route.openings is not None and not route.openings.spend():
                raise Refused(HTTPStatus.TOO_MANY_REQUESTS, "opened too often; try again in a few seconds")
            try:
                await _pipe(head, route, reader, writer)
            except BadFrames as error:
                self._report(f"a client sent {error}; connection closed")

    def _check_host(self, head: Head) -> None:
        # A page on another site that resolves its own name to 127.0.0.1 (DNS rebinding) shows here.
        if self._hosts is None:
            return
        host = _hostname(head.headers.get("host", ""))
        if host not in self._hosts and not is_loopback(host):
            raise Refused(
                HTTPStatus.FORBIDDEN,
                f"unknown Host {host[:80]!r}: behind a proxy, start with --token, or let it pass on "
                "`proxy_set_header Host localhost;`",
            )

    def _check_origin(self, head: Head) -> None:
        origin = head.headers.get("origin")
        if origin is not None and self._origin_problem(head, origin):
            raise Refused(HTTPStatus.FORBIDDEN, "asked for by a page of another origin")

    def _origin_problem(self, head: Head, origin: str) -> str:
        """Why a page of `origin` may open no socket, in words; nothing when it may.

        Proxies write another Host, or leave out its port. The page's own key proves as much: it stands in the
        page, which nobody but the page's own origin can read. It comes in the address, or in a cookie that
        browsers send to their own site only; that one counts where Host names another machine than the page's.
        """
        own = head.headers.get("host", "")
        netloc = origin.partition("://")[2].partition("/")[0]
        if netloc in (own, head.headers.get("x-forwarded-host")):
            return ""
        if self._key is not None:
            if _same(head.query("key") or "", self._key):
                return ""
            if _hostname(netloc) != _hostname(own) and _same(head.cookie(KEY_COOKIE), self._key):
                return ""
        return f"The proxy between passes on Host {own!r} instead of {netloc!r}: `proxy_set_header Host $http_host;`"

    def _check_token(self, head: Head) -> str | None:
        if self._token is None:
            return None
        for given in (head.query("token") or "", head.cookie(COOKIE)):
            if _same(given, self._token):
                return given
        raise Refused(HTTPStatus.UNAUTHORIZED, "a valid ?token= is needed; it was printed when the server started")


_NO_UPGRADE = (
    "Something between passes no WebSockets on. For nginx: proxy_http_version 1.1; "
    'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'
)


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _hostname(netloc: str) -> str:
    try:
        return urlsplit("//" + netloc).hostname or ""
    except ValueError:
        return ""


def _check_site(head: Head) -> None:
    # Browsers say when another site embeds or fetches something of ours. Following a link is all right.
    follows_link = head.headers.get("sec-fetch-mode") == "navigate" and head.headers.get("sec-fetch-dest") == "document"
    if head.headers.get("sec-fetch-site") == "cross-site" and not follows_link:
        raise Refused(HTTPStatus.FORBIDDEN, "asked for by another site")


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


async def _open(
    connection: socket.socket, tls: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Streams over an accepted connection. The TLS handshake is waited for by who waits for this."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=HEAD_LIMIT)
    protocol = asyncio.StreamReaderProtocol(reader)
    with suppress(OSError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    waits = {} if tls is None else {"ssl_handshake_timeout": _HEAD_TIMEOUT_S, "ssl_shutdown_timeout": 1.0}
    transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection, ssl=tls, **waits)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def _pipe(head: Head, upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    inner_reader, inner_writer = await asyncio.open_connection(upstream.host, upstream.port)
    kept = [line for line in head.lines[1:] if not line.lower().startswith(INNER_HEADER.lower().encode() + b":")]
    if upstream.secret:
        kept.append(f"{INNER_HEADER}: {upstream.secret}".encode())
    try:
        inner_writer.write(b"\r\n".join([f"GET {upstream.path} HTTP/1.1".encode(), *kept, b"", b""]))
        both = [
            asyncio.create_task(_copy(reader, inner_writer, FrameGate())),
            asyncio.create_task(_copy(inner_reader, writer, None)),
        ]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in both:
            task.cancel()
        for outcome in await asyncio.gather(*both, return_exceptions=True):
            if isinstance(outcome, BadFrames):
                raise outcome
        await _linger(reader, writer)
    finally:
        await close(inner_writer)


async def _linger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Let the last words arrive: a connection that is closed while data waits in it is reset, and loses them."""
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(_LINGER_S):
            await writer.drain()
            while await reader.read(_PIPE_BYTES):
                pass


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: FrameGate | None) -> None:
    while piece := await reader.read(_PIPE_BYTES):
        wait_s = 0.0 if gate is None else gate.feed(piece)
        writer.write(piece)
        await writer.drain()  # a slow client slows its own pipe, and what feeds it drops frames
        if wait_s > 0:
            await asyncio.sleep(wait_s)
