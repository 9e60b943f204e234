"""A WebSocket as a conversation of texts and bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from gtalk.hosting.budget import Budget
from gtalk.hosting.gate import Gate
from gtalk.hosting.refused import Refused
from gtalk.hosting.visits import visit_of

_FAULTS = {1002, 1007, 1009}  # of clients, as RFC 6455 numbers them


class SocketClosed(Exception):
    """Nothing goes through any more."""


class Socket:
    """One WebSocket that was let in.

    Args:
        websocket: Starlette's.
        most_bytes: of a message; a larger one ends it (1009).
    """

    def __init__(self, websocket: WebSocket, most_bytes: int) -> None:
        self._websocket, self._most_bytes = websocket, most_bytes
        self._visit = visit_of(websocket.scope)

    @property
    def vanished(self) -> bool:
        """Whether the client was lost without a goodbye."""
        return self._visit is not None and self._visit.vanished

    @property
    def host_ends(self) -> bool:
        """Whether it ends because the server does."""
        gate = self._websocket.scope.get("app")
        return isinstance(gate, Gate) and gate.ending

    async def accept(self, subprotocol: str | None = None) -> None:
        """Let it in."""
        await self._websocket.accept(subprotocol)

    async def send(self, message: str | bytes) -> None:
        """Send one message, as soon as there is room. Raises SocketClosed."""
        try:
            if isinstance(message, str):
                await self._websocket.send_text(message)
            else:
                await self._websocket.send_bytes(message)
        except (WebSocketDisconnect, RuntimeError) as error:
            raise SocketClosed from error

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """End it, with a reason of at most 120 bytes."""
        try:
            await self._websocket.close(code, reason.encode()[:120].decode(errors="ignore"))
        except (WebSocketDisconnect, RuntimeError, OSError):
            return

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Messages until it ends."""
        while self._websocket.client_state is WebSocketState.CONNECTED:
            event = await self._websocket.receive()
            if event["type"] == "websocket.disconnect":
                if event.get("code") in _FAULTS and self._visit is not None:
                    self._visit.report(f"connection closed: {event['code']}")
                return
            message = event.get("text")
            message = event["bytes"] if message is None else message
            if len(message) > self._most_bytes:
                if self._visit is not None:
                    self._visit.report("connection closed: 1009")
                await self.close(1009)
                return
            yield message


def opened(openings: Budget) -> None:
    """One more socket; raises Refused where they are opened too often."""
    if not openings.spend():
        raise Refused(HTTPStatus.TOO_MANY_REQUESTS, "opened too often; try again in a few seconds")


def socket_routes(path: str, endpoint, page=None) -> list[BaseRoute]:
    """A WebSocket at a path, and what who wants no socket gets there: `page`, or words."""
    return [WebSocketRoute(path, endpoint), Route(path, _beside if page is None else page)]


async def _beside(request: Request) -> Response:
    gate = request.scope.get("app")
    if "origin" not in request.query_params or not isinstance(gate, Gate):
        raise Refused(HTTPStatus.UPGRADE_REQUIRED, "a WebSocket is here")
    return PlainTextResponse(gate.why_no_socket(request))  # the page wants to know why its socket fails
