"""Small ASGI applications behind the front, which has let their visitors in: Starlette routes, say."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

from gtalk.viewer.web.http import Asgi, Head, Message, Refused, head_of

MOST_BODY_BYTES = 64 * 1024


async def answer_asgi(route: Asgi, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ask the application and write what it says. Raises Refused for a body that is too large or of no length."""
    body = await _body(head, reader)
    status, headers, answer = HTTPStatus.INTERNAL_SERVER_ERROR, [], b""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status, headers, answer
        if message["type"] == "http.response.start":
            status, headers = HTTPStatus(message["status"]), list(message["headers"])
        else:
            answer += message.get("body", b"")

    parts = urlsplit(head.target)
    named = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in head.headers.items()]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "method": head.method,
        "path": unquote(parts.path), "raw_path": parts.path.encode(), "query_string": parts.query.encode(),
        "root_path": "", "headers": named, "server": None, "client": None,
    }  # fmt: skip
    await route.application(scope, receive, send)
    own = [
        f"{name.decode('latin-1')}: {value.decode('latin-1')}" for name, value in headers if name != b"cache-control"
    ]
    writer.write(head_of(status, *own) + answer)
    await writer.drain()


async def _body(head: Head, reader: asyncio.StreamReader) -> bytes:
    if head.method not in {"POST", "PUT", "PATCH"}:
        return b""
    length = head.headers.get("content-length", "")
    if not length.isdecimal():
        raise Refused(HTTPStatus.LENGTH_REQUIRED, "a body says its length")
    if int(length) > MOST_BODY_BYTES:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {MOST_BODY_BYTES} bytes")
    return await reader.readexactly(int(length))
