"""The media WebSocket behind the front: pictures and sound out, microphone and commands in."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from functools import partial

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from gtalk.viewer.session import Listener, LiveSession
from gtalk.viewer.sources import PushSource
from gtalk.viewer.wire import MAX_MESSAGE_BYTES, BadMessage, MicPiece, pack_frame, parse

_STATS_EVERY_S = 1.0
_MESSAGES_PER_S = 200  # twice what a 10 ms microphone block and commands need


class MediaSocket:
    """Serves one LiveSession to any number of pages.

    Args:
        session: what is shown.
        mic: whether pages may speak into it.
        report: gets one line for what goes wrong.
    """

    def __init__(self, session: LiveSession, *, mic: bool, report: Callable[[str], None]) -> None:
        self._session, self._mic, self._report = session, mic, report
        self._server: Server | None = None
        self.skew_ms: float | None = None
        """Sound against picture as the newest page measured it; positive: the picture is late."""

    async def start(self) -> int:
        """Listen on a free loopback port and return it."""
        self._server = await serve(
            self._handle,
            "127.0.0.1",
            0,
            max_size=MAX_MESSAGE_BYTES,
            compression=None,
            write_limit=1 << 18,
            max_queue=16,
        )
        return next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        """Close every connection."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def pictures(self) -> AsyncIterator[bytes]:
        """JPEGs as they are drawn, for an MJPEG stream."""
        async with _Listening(self._session) as listening:
            while True:
                for frame in await listening.frames():
                    if frame.jpeg is not None:
                        yield frame.jpeg

    async def _handle(self, connection: ServerConnection) -> None:
        mic: list[PushSource] = []
        sender = asyncio.create_task(self._send(connection))
        try:
            await self._receive(connection, mic)
        except BadMessage as error:
            self._report(f"page sent {error}; connection closed")
            await connection.close(1008, str(error))
        except ConnectionClosed:
            pass
        finally:
            sender.cancel()
            for source in mic:
                source.close()
                if self._session.source is source:
                    self._session.interrupt()

    async def _send(self, connection: ServerConnection) -> None:
        told = 0.0
        try:
            async with _Listening(self._session) as listening:
                while True:
                    for frame in await listening.frames():
                        await connection.send(pack_frame(frame))
                    if time.monotonic() - told > _STATS_EVERY_S:
                        told = time.monotonic()
                        await connection.send(json.dumps({"stats": asdict(self._session.stats())}))
        except ConnectionClosed:
            pass

    async def _receive(self, connection: ServerConnection, mic: list[PushSource]) -> None:
        window, count = time.monotonic(), 0
        async for message in connection:
            if time.monotonic() - window > 1.0:
                window, count = time.monotonic(), 0
            count += 1
            if count > _MESSAGES_PER_S:
                raise BadMessage("too many messages a second")
            parsed = parse(message)
            if isinstance(parsed, MicPiece):
                if mic and self._session.source is mic[-1]:
                    mic[-1].push(parsed.samples, parsed.rate)
            else:
                await self._command(connection, parsed, mic)

    async def _command(self, connection: ServerConnection, command: dict, mic: list[PushSource]) -> None:
        if command["do"] == "mic":
            if not self._mic:
                await connection.send(json.dumps({"notice": "The microphone is off (--mic off)."}))
                return
            mic.append(PushSource("browser microphone", audible=False))
            self._session.play(mic[-1])
        elif command["do"] == "stop":
            self._session.interrupt()
        elif command["do"] == "skew" and isinstance(command.get("ms"), (int, float)):
            self.skew_ms = float(command["ms"])
        else:
            raise BadMessage(f"an unknown command {command['do'][:32]!r}")


def _wake(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    loop.call_soon_threadsafe(event.set)


class _Listening:
    """A listener of the live thread as an asynchronous iterator of what is new."""

    def __init__(self, session: LiveSession) -> None:
        self._session = session
        self._event = asyncio.Event()
        self._listener: Listener | None = None

    async def __aenter__(self) -> _Listening:
        loop = asyncio.get_running_loop()
        self._listener = self._session.listen(partial(_wake, loop, self._event))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listener is not None
        self._session.leave(self._listener)

    async def frames(self) -> list:
        assert self._listener is not None
        await self._event.wait()
        self._event.clear()
        new = []
        while self._listener.frames:
            new.append(self._listener.frames.popleft())
        return new
