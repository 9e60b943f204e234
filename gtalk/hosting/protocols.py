"""What uvicorn's protocols leave open: heads that never end, answers that nobody reads, floods of frames.

One request comes by a connection. Its head is read whole before anything looks at it, and bounded in size and time.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gtalk.hosting.frames import BadFrames, FrameGate
from gtalk.hosting.visits import Visit

HEAD_LIMIT = 16 * 1024
HEAD_TIMEOUT_S = 10.0
ANSWER_S = 60.0
_WAITING_BYTES, _SOCKET_WAITING_BYTES = 32 * 1024, 1 << 18  # that wait for a reader
_PIECE = 4096  # of what a socket sends, looked at before the next
_CLOSE_S = 1.0


class PageProtocol(H11Protocol):
    """One connection with one request."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._visit: Visit = self.app_state["visit"]
        self._head: bytearray | None = bytearray()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        transport.set_write_buffer_limits(high=_WAITING_BYTES)
        super().connection_made(transport)
        self._visit.end = transport.abort
        self._timer = self.loop.call_later(HEAD_TIMEOUT_S, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._stop_timer()
        self._visit.leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._head is not None:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if (end if end >= 0 else len(self._head)) > HEAD_LIMIT:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "request head too large")
                return
            if end < 0:
                return
            lines = bytes(self._head[:end]).split(b"\r\n")
            if any(mark in line for line in lines for mark in (b"\n", b"\r", b"\0")):
                self._refuse(HTTPStatus.BAD_REQUEST, "not an HTTP request")
                return
            data, self._head = bytes(self._head), None
            self._stop_timer()
            self._timer = self.loop.call_later(ANSWER_S, self._give_up)
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """See H11Protocol."""
        self._refuse(HTTPStatus.BAD_REQUEST, "not an HTTP request")

    def handle_websocket_upgrade(self, event: Any) -> None:
        """See H11Protocol."""
        self._stop_timer()
        super().handle_websocket_upgrade(event)

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self._head = bytearray()
        if self.transport.is_closing():
            return
        self._visit.report(f"refused: {status.value} {why}")
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
        self.transport.write(f"{head}{why}\n".encode())
        self.transport.close()

    def _give_up(self) -> None:
        if not self._visit.stays:
            self.transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class SocketProtocol(WebSocketsSansIOProtocol):
    """A WebSocket whose frames are counted before anything answers or gathers them."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._visit: Visit = self.app_state["visit"]
        self._frames = FrameGate()
        self._come = bytearray()  # and not yet looked at
        self._slowed = False
        self.close_timeout = _CLOSE_S

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=_SOCKET_WAITING_BYTES)
        super().connection_made(transport)
        self._visit.end = self.shutdown

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._visit.vanished = self.conn.close_rcvd is None
        self._visit.leave()
        self._come.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if not self.handshake_initiated:
            super().data_received(data)
            return
        self._come += data
        self._look()

    async def receive(self) -> ASGIReceiveEvent:
        """See ASGI. Reading goes on when all that came was taken."""
        message = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            self._look()
            self._go_on_reading()
        return message

    def _look(self) -> None:
        while self._come and not self.read_paused and not self._slowed and not self.transport.is_closing():
            piece = bytes(self._come[:_PIECE])
            del self._come[:_PIECE]
            try:
                wait_s = self._frames.feed(piece)
            except BadFrames as error:
                self._visit.report(f"a client sent {error}; connection closed")
                self._end(str(error))
                return
            super().data_received(piece)
            if wait_s > 0:
                self._slowed = True
                self.transport.pause_reading()
                self.loop.call_later(wait_s, self._faster)

    def _faster(self) -> None:
        self._slowed = False
        self._look()
        self._go_on_reading()

    def _go_on_reading(self) -> None:
        if not self.read_paused and not self._slowed and not self.disconnected:
            self.transport.resume_reading()

    def _end(self, why: str) -> None:
        self.conn.fail(1008, why)
        self.queue.put_nowait({"type": "websocket.disconnect", "code": 1008, "reason": why})
        with suppress(OSError):
            self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.close()
