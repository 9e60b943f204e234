"""HTTP as far as the front needs it: request heads, routes, answers in pieces that a slow reader cannot pile up."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from gtalk.viewer.web.budget import Budget

HEAD_LIMIT = 16 * 1024
PIECE = 16 * 1024  # bytes of an answer that wait for a reader at a time
_CLOSE_S = 1.0
INNER_HEADER = "X-Gtalk-Front"  # carries a secret to the sockets behind, which refuse whoever does not know it
OWN_CONTENT = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""Nothing from elsewhere, nothing to elsewhere."""

WITH_BODIES = ("/whep",)
"""Ends of the paths that take other methods than GET: any other is refused before it opens a session."""
StreamSource = Callable[[], AsyncIterator[bytes]]
Message = MutableMapping[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]


@dataclass(frozen=True)
class Page:
    """A small answer held in memory."""

    content_type: str
    body: bytes
    packed: bytes | None = None
    """The same in gzip, for who takes it."""
    policy: str = OWN_CONTENT
    """Content-Security-Policy: where what it loads may come from."""


@dataclass(frozen=True)
class Moved:
    """An answer that leads elsewhere, relative to the path that was asked for."""

    location: str


@dataclass(frozen=True)
class Upstream:
    """A WebSocket server on loopback that a path is piped to."""

    host: str
    port: int
    path: str
    """What it is asked for."""
    secret: str = ""
    """Sent along in INNER_HEADER."""
    page: Page | None = None
    """What who does not want a WebSocket gets there."""
    openings: Budget | None = None
    """How often it may be opened."""


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


@dataclass(frozen=True)
class Later:
    """A page that is made when it is first asked for, which takes time: a router waits for it, elsewhere."""

    make: Callable[[], Page]


@dataclass(frozen=True)
class Asgi:
    """An application with small answers, for some methods: see gtalk.viewer.web.asgi."""

    application: Application
    methods: frozenset[str]


Route = Page | Moved | Upstream | Stream | Download | Asgi
Router = Callable[[str], Awaitable[Route | None]]


def fixed(routes: dict[str, Route]) -> Router:
    """A router of routes that never change."""

    async def find(path: str) -> Route | None:
        return routes.get(path)

    return find


@dataclass(frozen=True)
class Head:
    """The head of a request."""

    method: str
    target: str
    headers: dict[str, str]
    lines: list[bytes]

    @property
    def is_upgrade(self) -> bool:
        """Whether it asks for a WebSocket."""
        return self.headers.get("upgrade", "").lower() == "websocket"

    @property
    def path(self) -> str:
        """Of the target, without its query."""
        return urlsplit(self.target).path

    def query(self, name: str) -> str | None:
        """A value in the address."""
        return parse_qs(urlsplit(self.target).query).get(name, [None])[0]

    def cookie(self, name: str) -> str:
        """The value of a cookie as it was set; nothing where it was not."""
        try:
            morsel = SimpleCookie(self.headers.get("cookie", "")).get(name)
        except CookieError:
            return ""
        return unquote(morsel.value) if morsel else ""


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


def page_key(secret: str) -> str:
    """What a page is given so that its sockets are let in: pages of other sites cannot read it."""
    return hmac.new(secret.encode(), b"page", "sha256").hexdigest()[:32]


async def read_head(reader: asyncio.StreamReader) -> Head:
    """The next request's head. Raises Refused, and what StreamReader.readuntil does."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "request head too large") from error
    lines = raw[:-4].split(b"\r\n")
    if any(mark in line for line in lines for mark in (b"\n", b"\r", b"\0")):
        raise Refused(HTTPStatus.BAD_REQUEST, "not an HTTP request")
    try:
        method, target, version = lines[0].decode("ascii").split(" ")
        pairs = [line.decode("latin-1").split(":", 1) for line in lines[1:]]
        headers = {name.strip().lower(): value.strip() for name, value in pairs}
        urlsplit(target)
    except ValueError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, "not an HTTP request") from error
    if not version.startswith("HTTP/1.") or not target.startswith("/"):
        raise Refused(HTTPStatus.BAD_REQUEST, "not an HTTP/1.1 request")
    return Head(method, target, headers, lines)


async def write_page(
    writer: asyncio.StreamWriter, status: HTTPStatus, page: Page, head: Head | None = None, cookies: Sequence[str] = ()
) -> None:
    """Answer with a page, packed where the reader takes that."""
    packed = page.packed if head is not None and "gzip" in head.headers.get("accept-encoding", "") else None
    body = page.body if packed is None else packed
    lines = [f"Content-Type: {page.content_type}; charset=utf-8", f"Content-Length: {len(body)}"]
    lines += ["Content-Encoding: gzip"] * (packed is not None)
    lines += [f"Content-Security-Policy: {page.policy}", *(f"Set-Cookie: {cookie}" for cookie in cookies)]
    writer.write(head_of(status, *lines))
    if head is None or head.method != "HEAD":
        await _write_pieces(writer, body)


async def write_moved(writer: asyncio.StreamWriter, moved: Moved, head: Head) -> None:
    """Lead elsewhere, with the same query."""
    query = urlsplit(head.target).query
    location = moved.location + (f"?{query}" if query else "")
    writer.write(head_of(HTTPStatus.TEMPORARY_REDIRECT, f"Location: {location}", "Content-Length: 0"))
    await writer.drain()


async def write_stream(writer: asyncio.StreamWriter, stream: Stream) -> None:
    """Send parts until the reader leaves."""
    writer.write(head_of(HTTPStatus.OK, f"Content-Type: multipart/x-mixed-replace; boundary={stream.boundary}"))
    async for part in stream.parts():
        writer.write(f"--{stream.boundary}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(part)}\r\n\r\n".encode())
        writer.write(part + b"\r\n")
        await writer.drain()


async def write_file(writer: asyncio.StreamWriter, download: Download) -> None:
    """Send a file, in pieces. Raises Refused where there is none."""
    path = download.find()
    if path is None:
        raise Refused(HTTPStatus.NOT_FOUND, "nothing was recorded yet")
    with path.open("rb") as file:
        size = path.stat().st_size
        name = f'Content-Disposition: attachment; filename="{download.name}"'
        writer.write(head_of(HTTPStatus.OK, f"Content-Type: {download.content_type}", f"Content-Length: {size}", name))
        while piece := file.read(PIECE):
            writer.write(piece)
            await writer.drain()


async def close(writer: asyncio.StreamWriter) -> None:
    """Close a connection; who reads no more loses what waits."""
    try:
        writer.close()
        await asyncio.wait_for(writer.wait_closed(), _CLOSE_S)
    except TimeoutError:
        writer.transport.abort()
    except OSError:
        pass


async def _write_pieces(writer: asyncio.StreamWriter, body: bytes) -> None:
    for start in range(0, len(body), PIECE):
        writer.write(body[start : start + PIECE])
        await writer.drain()


def head_of(status: HTTPStatus, *lines: str) -> bytes:
    """Head of an answer."""
    fixed_lines = (
        "Cache-Control: no-store", "X-Content-Type-Options: nosniff", "X-Frame-Options: SAMEORIGIN",
        "Cross-Origin-Resource-Policy: same-origin", "Referrer-Policy: no-referrer", "Connection: close",
    )  # fmt: skip
    return "\r\n".join([f"HTTP/1.1 {status.value} {status.phrase}", *lines, *fixed_lines, "", ""]).encode()
