"""Asks a front of its own, byte by byte."""

import asyncio
from collections.abc import Awaitable, Callable

from gtalk.viewer.web.front import Front
from gtalk.viewer.web.http import (
    Page,
    Route,
    Router,
    fixed,
)

PAGE: dict[str, Route] = {"/": Page("text/html", b"<p>hello")}


async def ask(port: int, request: bytes, read: int = -1) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(read), 5)
    writer.close()
    return answer


def exchange(
    request: bytes, routes=PAGE, token=None, hosts=frozenset({"127.0.0.1"}), read=-1
) -> tuple[bytes, list[str]]:
    said: list[str] = []

    async def run() -> bytes:
        front = Front(fixed(dict(routes)), token=token, allowed_hosts=hosts and set(hosts), report=said.append)
        port = await front.start("127.0.0.1", 0, None)
        try:
            return await ask(port, request, read)
        finally:
            await front.stop()

    return asyncio.run(run()), said


def get(path: str, **headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def visited(
    visit: Callable[[int, Front], Awaitable[object]], router: Router | None = None, tls=None, **options
) -> object:
    """What a visit to a front gives."""

    async def run() -> object:
        front = Front(
            router or fixed(PAGE), token=None, allowed_hosts={"localhost"}, **{"report": lambda _: None, **options}
        )
        port = await front.start("127.0.0.1", 0, tls)
        try:
            return await visit(port, front)
        finally:
            await front.stop()

    return asyncio.run(run())
