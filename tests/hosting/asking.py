"""Asks a listener of its own, byte by byte."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.routing import BaseRoute, Route, Router, WebSocketRoute
from starlette.websockets import WebSocket

from gtalk.hosting.answers import Page, page
from gtalk.hosting.gate import Gate
from gtalk.hosting.host import _nowhere
from gtalk.hosting.listener import Listener

PAGE: list[BaseRoute] = [Route("/", page(Page("text/html", b"<p>hello")))]
UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "eHh4eHh4eHh4eHh4eHh4eA==",
}


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("ok")
    await websocket.close()


SOCKET: list[BaseRoute] = [WebSocketRoute("/media", echo)]


async def ask(port: int, request: bytes, read: int = -1) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(read), 5)
    writer.close()
    return answer


@asynccontextmanager
async def listening(
    routes: Sequence[BaseRoute] = PAGE,
    *,
    token=None,
    hosts: Iterable[str] | None = frozenset({"127.0.0.1"}),
    report=lambda _: None,
    key="",
    tls=None,
    open_paths=(),
    framed_by="",
    guests=None,
) -> AsyncIterator[tuple[int, Listener]]:
    router = Router(routes, redirect_slashes=False, default=_nowhere)
    secrets = {} if token is None else {token: ""}
    gate = Gate(router, secrets=secrets, hosts=hosts, report=report, key=key, open_paths=open_paths, guests=guests)
    gate.framed_by = framed_by
    listener = Listener(gate, report, tls)
    port = await listener.start("127.0.0.1", 0)
    try:
        yield port, listener
    finally:
        await listener.stop()


def exchange(request: bytes, routes: Sequence[BaseRoute] = PAGE, read=-1, **options) -> tuple[bytes, list[str]]:
    said: list[str] = []

    async def run() -> bytes:
        async with listening(routes, report=said.append, **options) as (port, _):
            return await ask(port, request, read)

    return asyncio.run(run()), said


def get(path: str, **headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def status(answer: bytes) -> int:
    return int(answer.split(b" ")[1])


def visited(visit: Callable[[int, Listener], Awaitable[Any]], routes: Sequence[BaseRoute] = PAGE, **options) -> Any:
    """What a visit to a listener gives."""

    async def run() -> Any:
        async with listening(routes, **{"hosts": {"localhost"}, **options}) as (port, listener):
            return await visit(port, listener)

    return asyncio.run(run())
