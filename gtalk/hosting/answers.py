"""Answers that routes give: pages held in memory, pages made when they are asked for, redirects, image streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route

from gtalk.hosting.gate import OWN_CONTENT
from gtalk.hosting.refused import Refused
from gtalk.hosting.visits import stay


@dataclass(frozen=True)
class Page:
    """A small answer held in memory."""

    content_type: str
    body: bytes
    packed: bytes | None = None
    """The same in gzip, for who takes it."""
    policy: str = OWN_CONTENT
    """Content-Security-Policy: where what it loads may come from."""

    def __call__(self, request: Request) -> Response:
        """The answer to a request; as a route's endpoint it is `asked`."""
        packed = self.packed if "gzip" in request.headers.get("accept-encoding", "") else None
        headers = {"Content-Security-Policy": self.policy, "Content-Type": f"{self.content_type}; charset=utf-8"}
        if packed is not None:
            headers["Content-Encoding"] = "gzip"
        return Response(self.body if packed is None else packed, headers=headers)


Endpoint = Callable[[Request], Awaitable[Response]]


def page(found: Page) -> Endpoint:
    """An endpoint that gives a page."""

    async def answer(request: Request) -> Response:
        return found(request)

    return answer


def later(make: Callable[[], Page]) -> Endpoint:
    """An endpoint whose page takes time to make: others are served meanwhile."""

    async def answer(request: Request) -> Response:
        return (await asyncio.to_thread(make))(request)

    return answer


def moved(location: str) -> Endpoint:
    """An endpoint that leads elsewhere, relative to the path that was asked for, with the same query."""

    async def answer(request: Request) -> Response:
        query = request.url.query
        where = location.format(**request.path_params) + (f"?{query}" if query else "")
        return Response(status_code=HTTPStatus.TEMPORARY_REDIRECT, headers={"Location": where})

    return answer


def image_stream(path: str, images: Callable[[], AsyncIterator[bytes]], boundary: str = "gtalk") -> Route:
    """JPEGs as an endless `multipart/x-mixed-replace`."""

    async def parts() -> AsyncIterator[bytes]:
        async for image in images():
            head = f"--{boundary}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(image)}\r\n\r\n"
            yield head.encode() + image + b"\r\n"

    async def answer(request: Request) -> Response:
        kind = f"multipart/x-mixed-replace; boundary={boundary}"
        if request.method == "HEAD":
            return Response(headers={"Content-Type": kind})
        stay(request.scope)
        return StreamingResponse(parts(), headers={"Content-Type": kind})

    return Route(path, answer)


def download(path: str, find: Callable[[], Path | None], content_type: str, name: str, missing: str) -> Route:
    """A file that a visitor keeps, read when it is asked for; `missing` says why there is none."""

    async def answer(request: Request) -> Response:
        found = find()
        if found is None:
            raise Refused(HTTPStatus.NOT_FOUND, missing)
        stay(request.scope)
        return FileResponse(found, media_type=content_type, filename=name)

    return Route(path, answer)
