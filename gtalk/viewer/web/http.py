"""The one public port: the page, the sockets and viser behind it, with the checks in one place.

Every connection's request head is read here, bounded in size and time, and checked: host, whether another
site asks, origin of WebSockets, token. Then a small file is answered, an MJPEG stream is written, or the
bytes are piped to a media socket or to viser, which listen on loopback only.
"""

from __future__ import annotations

import asyncio
import hmac
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

_HEAD_LIMIT = 16 * 1024
_HEAD_TIMEOUT_S = 10.0
_CLOSE_S = 1.0
_MAX_CONNECTIONS = 128
_PIPE_BYTES = 64 * 1024
COOKIE, KEY_COOKIE = "gtalk_token", "gtalk_page"
INNER_HEADER = "X-Gtalk-Front"  # carries a secret to the sockets behind, which refuse whoever does not know it

StreamSource = Callable[[], AsyncIterator[bytes]]


@dataclass(frozen=True)
class Upstream:
    """A loopback server that a path prefix is piped to, the prefix removed."""

    host: str
    port: int
    path: str | None = None
    """Ask for this instead of what follows the prefix."""
    secret: str = ""
    """Sent along in INNER_HEADER."""


@dataclass(frozen=True)
class Page:
    """A small answer held in memory."""

    content_type: str
    body: bytes


@dataclass(frozen=True)
class Stream:
    """An endless answer: parts of a `multipart/x-mixed-replace` image stream."""

    boundary: str
    parts: StreamSource


@dataclass(frozen=True)
class Download:
    """A file that a visitor keeps, read when it is asked for; None while there is none."""

    find: Callable[[], Path | None]
    content_type: str
    name: str


Route = Page | Upstream | Stream | Download
Router = Callable[[str], Awaitable[tuple[Route, str] | None]]


def find_route(routes: dict[str, Route], path: str) -> tuple[Route, str] | None:
    """The route of a path and the prefix to remove: by exact path, or by prefix when the key ends with "/"."""
    if path in routes:
        return routes[path], path if isinstance(routes[path], Upstream) else ""
    for prefix, route in routes.items():
        if prefix.endswith("/") and prefix != "/" and path.startswith(prefix):
            return route, prefix
    return None


def fixed(routes: dict[str, Route]) -> Router:
    """A router of routes that never change."""

    async def find(path: str) -> tuple[Route, str] | None:
        return find_route(routes, path)

    return find


@dataclass(frozen=True)
class _Head:
    method: str
    target: str
    headers: dict[str, str]
    lines: list[bytes]

    @property
    def is_upgrade(self) -> bool:
        return self.headers.get("upgrade", "").lower() == "websocket"


class Refused(Exception):
    """A request that gets `status` and nothing more."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


def is_loopback(host: str) -> bool:
    """Whether an address or name stays on this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


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
        self._server: asyncio.Server | None = None
        self._visits: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None) -> int:
        """Begin to listen. Returns the port. Raises OSError when it is taken."""
        self._server = await asyncio.start_server(self._serve, host, port, ssl=tls, limit=_HEAD_LIMIT)
        return self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and end every connection."""
        if self._server is not None:
            self._server.close()
        for visit in list(self._visits):
            visit.cancel()
        await asyncio.gather(*self._visits, return_exceptions=True)

    @property
    def n_open(self) -> int:
        """Connections that are open."""
        return len(self._visits)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = asyncio.current_task()
        assert visit is not None
        self._visits.add(visit)
        try:
            if self.n_open > _MAX_CONNECTIONS:
                raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections")
            head = await asyncio.wait_for(_read_head(reader), _HEAD_TIMEOUT_S)
            await self._route(head, reader, writer)
        except Refused as refusal:
            self._report(f"refused: {refusal.status.value} {refusal.why}")
            _write_page(writer, refusal.status, Page("text/plain", (refusal.why + "\n").encode()))
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            pass  # the client left or never spoke; nothing of its remains
        except Exception as error:  # a session that cannot be opened, say: this visitor's loss alone
            self._report(f"failed: {type(error).__name__}: {error}")
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            _write_page(writer, status, Page("text/plain", b"something broke; the server's log says what\n"))
        finally:
            self._visits.discard(visit)
            await _close(writer)

    async def _route(self, head: _Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._check_host(head)
        _check_site(head)
        given = self._check_token(head)
        found = await self._router(urlsplit(head.target).path)
        if found is None:
            raise Refused(HTTPStatus.NOT_FOUND, "no such page")
        route, prefix = found
        if isinstance(route, Upstream):
            if head.is_upgrade:
                self._check_origin(head)
            elif (asked := _query(head, "origin")) is not None:  # the page wants to know why its socket fails
                said = self._origin_problem(head, asked) or _NO_UPGRADE
                _write_page(writer, HTTPStatus.OK, Page("text/plain", said.encode()))
                return
            await _pipe(head, prefix, route, reader, writer)
            return
        if head.method not in {"GET", "HEAD"}:
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "only GET is served here")
        if isinstance(route, Stream):
            await _write_stream(writer, route)
            return
        if isinstance(route, Download):
            await _write_file(writer, route)
            return
        kept = {COOKIE: given, KEY_COOKIE: self._key if route.content_type == "text/html" else None}
        cookies = [f"{name}={value}; HttpOnly; SameSite=Strict; Path=/" for name, value in kept.items() if value]
        _write_page(writer, HTTPStatus.OK, route, cookies)
        await writer.drain()

    def _check_host(self, head: _Head) -> None:
        # A page on another site that resolves its own name to 127.0.0.1 (DNS rebinding) shows here.
        if self._hosts is None:
            return
        host = urlsplit("//" + head.headers.get("host", "")).hostname or ""
        if host not in self._hosts and not is_loopback(host):
            raise Refused(
                HTTPStatus.FORBIDDEN,
                f"unknown Host {host[:80]!r}: behind a proxy, start with --token, or let it pass on "
                "`proxy_set_header Host localhost;`",
            )

    def _check_origin(self, head: _Head) -> None:
        origin = head.headers.get("origin")
        if origin is not None and self._origin_problem(head, origin):
            raise Refused(HTTPStatus.FORBIDDEN, "WebSocket from another origin")

    def _origin_problem(self, head: _Head, origin: str) -> str:
        """Why a page of `origin` may open no socket, in words; nothing when it may.

        Proxies write another Host, or leave out its port. The page's own key proves as much: it stands in the
        page, which nobody but the page's own origin can read. It comes in the address, or in a cookie that
        browsers send to their own site only; that one counts where Host names another machine than the page's.
        """
        own = head.headers.get("host", "")
        netloc = urlsplit(origin).netloc
        if netloc in (own, head.headers.get("x-forwarded-host")):
            return ""
        if self._key is not None:
            if hmac.compare_digest((_query(head, "key") or "").encode(), self._key.encode()):
                return ""
            elsewhere = urlsplit("//" + netloc).hostname != urlsplit("//" + own).hostname
            if elsewhere and hmac.compare_digest(_cookie(head, KEY_COOKIE).encode(), self._key.encode()):
                return ""
        return f"The proxy between passes on Host {own!r} instead of {netloc!r}: `proxy_set_header Host $http_host;`"

    def _check_token(self, head: _Head) -> str | None:
        if self._token is None:
            return None
        queried = parse_qs(urlsplit(head.target).query).get("token", [""])[0]
        for given in (queried, _cookie(head, COOKIE)):
            if hmac.compare_digest(given.encode(), self._token.encode()):
                return given
        raise Refused(HTTPStatus.UNAUTHORIZED, "a valid ?token= is needed; it was printed when the server started")


def page_key(secret: str) -> str:
    """What a page is given so that its sockets are let in: pages of other sites cannot read it."""
    return hmac.new(secret.encode(), b"page", "sha256").hexdigest()[:32]


def _query(head: _Head, name: str) -> str | None:
    return parse_qs(urlsplit(head.target).query).get(name, [None])[0]


_NO_UPGRADE = (
    "Something between passes no WebSockets on. For nginx: proxy_http_version 1.1; "
    'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'
)


def _cookie(head: _Head, name: str) -> str:
    try:
        morsel = SimpleCookie(head.headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _check_site(head: _Head) -> None:
    # Browsers say when another site embeds or fetches something of ours. Following a link is all right.
    follows_link = head.headers.get("sec-fetch-mode") == "navigate" and head.headers.get("sec-fetch-dest") == "document"
    if head.headers.get("sec-fetch-site") == "cross-site" and not follows_link:
        raise Refused(HTTPStatus.FORBIDDEN, "asked for by another site")


async def _read_head(reader: asyncio.StreamReader) -> _Head:
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "request head too large") from error
    lines = raw[:-4].split(b"\r\n")
    try:
        method, target, version = lines[0].decode("ascii").split(" ")
        pairs = [line.decode("latin-1").split(":", 1) for line in lines[1:]]
        headers = {name.strip().lower(): value.strip() for name, value in pairs}
    except ValueError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, "not an HTTP request") from error
    if not version.startswith("HTTP/1.") or not target.startswith("/"):
        raise Refused(HTTPStatus.BAD_REQUEST, "not an HTTP/1.1 request")
    return _Head(method, target, headers, lines)


async def _pipe(
    head: _Head, prefix: str, upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    inner_reader, inner_writer = await asyncio.open_connection(upstream.host, upstream.port)
    target = upstream.path or "/" + head.target[len(prefix) :].lstrip("/")
    dropped = (INNER_HEADER.lower().encode() + b":", *(() if head.is_upgrade else (b"connection:",)))
    kept = [line for line in head.lines[1:] if not line.lower().startswith(dropped)]
    if upstream.secret:
        kept.append(f"{INNER_HEADER}: {upstream.secret}".encode())
    if not head.is_upgrade:
        kept.append(b"Connection: close")  # a second request on this connection would pass unchecked
    first = f"{head.method} {target} HTTP/1.1".encode()
    try:
        inner_writer.write(b"\r\n".join([first, *kept, b"", b""]))
        both = [asyncio.create_task(_copy(reader, inner_writer)), asyncio.create_task(_copy(inner_reader, writer))]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)
    finally:
        await _close(inner_writer)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIPE_BYTES):
        writer.write(piece)
        await writer.drain()  # a slow client slows its own pipe, and what feeds it drops frames


def _write_page(writer: asyncio.StreamWriter, status: HTTPStatus, page: Page, cookies: Sequence[str] = ()) -> None:
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {page.content_type}; charset=utf-8",
        f"Content-Length: {len(page.body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "X-Frame-Options: SAMEORIGIN",
        "Referrer-Policy: no-referrer",
        "Connection: close",
    ]
    lines += [f"Set-Cookie: {cookie}" for cookie in cookies]
    writer.write("\r\n".join([*lines, "", ""]).encode() + page.body)


async def _write_stream(writer: asyncio.StreamWriter, stream: Stream) -> None:
    kind = f"multipart/x-mixed-replace; boundary={stream.boundary}"
    writer.write(
        f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n".encode()
    )
    async for part in stream.parts():
        writer.write(f"--{stream.boundary}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(part)}\r\n\r\n".encode())
        writer.write(part + b"\r\n")
        await writer.drain()


async def _write_file(writer: asyncio.StreamWriter, download: Download) -> None:
    path = download.find()
    if path is None:
        raise Refused(HTTPStatus.NOT_FOUND, "nothing was recorded yet")
    lines = [
        "HTTP/1.1 200 OK",
        f"Content-Type: {download.content_type}",
        f"Content-Length: {path.stat().st_size}",
        f'Content-Disposition: attachment; filename="{download.name}"',
        "Cache-Control: no-store",
        "Connection: close",
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    with path.open("rb") as file:
        while piece := file.read(_PIPE_BYTES):
            writer.write(piece)
            await writer.drain()


async def _close(writer: asyncio.StreamWriter) -> None:
    try:
        writer.close()
        await asyncio.wait_for(writer.wait_closed(), _CLOSE_S)
    except TimeoutError:
        writer.transport.abort()  # the other side reads no more: what waits for it is forgotten
    except OSError:
        pass
