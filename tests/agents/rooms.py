"""A LiveKit room without a server: participants of one process, each with the ends of a real `rtc.Room` that the avatar
worker and the agent use. Streams and calls go over in the next turn of the loop, in order; tracks, frames and what is
heard and seen of them are the client library's own.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from livekit import rtc

AGENT = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
STANDARD = rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD


class Reader(rtc.ByteStreamReader):
    """Pieces as they come, until the end; a stream that breaks off raises."""

    def __init__(self, attributes: dict[str, str]) -> None:
        self._info = SimpleNamespace(attributes=attributes, stream_id="stream", topic="", name="")
        self.closed = False
        self.pieces: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()

    def __aiter__(self) -> Reader:
        return self

    async def __anext__(self) -> bytes:
        piece = await self.pieces.get()
        if piece is None:
            raise StopAsyncIteration
        if isinstance(piece, Exception):
            raise piece
        return piece

    def close(self) -> None:
        self.closed = True


class Writer:
    """As `rtc.ByteStreamWriter`."""

    def __init__(self, readers: list[Reader]) -> None:
        self._readers = readers

    async def write(self, data: bytes) -> None:
        for reader in self._readers:
            for begin in range(0, len(data), 15_000):  # as the library cuts them
                reader.pieces.put_nowait(data[begin : begin + 15_000])

    async def aclose(self) -> None:
        for reader in self._readers:
            reader.pieces.put_nowait(None)


class Seen(rtc.RemoteParticipant):
    """A participant as others see it."""

    def __init__(self, identity: str, kind: int, tracks: dict[str, Any]) -> None:
        active = rtc.ParticipantState.PARTICIPANT_STATE_ACTIVE
        self._info = SimpleNamespace(sid=identity, name="", identity=identity, kind=kind, state=active)
        self._track_publications = {sid: SimpleNamespace(sid=sid, kind=track.kind) for sid, track in tracks.items()}


class Local(rtc.LocalParticipant):
    """A participant as it is to itself."""

    def __init__(self, room: FakeRoom, identity: str) -> None:
        self._room, self._info = room, SimpleNamespace(identity=identity)
        self._rpc_handlers: dict[str, Callable] = {}
        self.tracks: dict[str, Any] = {}

    async def publish_track(self, track, options) -> SimpleNamespace:
        sid = f"TR_{len(self.tracks)}"
        self.tracks[sid] = track
        return SimpleNamespace(sid=sid, kind=track.kind)

    async def unpublish_track(self, sid: str) -> None:
        del self.tracks[sid]

    def register_rpc_method(self, method: str, handler: Callable) -> None:
        self._rpc_handlers[method] = handler

    def unregister_rpc_method(self, method: str) -> None:
        self._rpc_handlers.pop(method, None)

    async def perform_rpc(self, *, destination_identity: str, method: str, payload: str) -> str:
        await asyncio.sleep(0)
        there = self._room.hub.rooms.get(destination_identity)
        if there is None or method not in there.local_participant._rpc_handlers:
            raise rtc.RpcError(rtc.RpcError.ErrorCode.UNSUPPORTED_METHOD, "nobody takes this call")
        call = rtc.RpcInvocationData("call", self.identity, payload, 10.0)
        answer = there.local_participant._rpc_handlers[method](call)
        return await answer if inspect.isawaitable(answer) else answer

    async def stream_bytes(self, name: str, *, topic: str, destination_identities, attributes, **_: Any) -> Writer:
        readers = []
        for identity in destination_identities:
            there = self._room.hub.rooms.get(identity)
            if there is not None and topic in there.streams:
                readers.append(Reader(attributes))
                there.streams[topic](readers[-1], self.identity)
        return Writer(readers)


class FakeRoom(rtc.Room):
    """The room of one participant, connected."""

    def __init__(self, hub: Hub, identity: str) -> None:
        super().__init__()
        self.hub, self._local_participant = hub, Local(self, identity)
        self.streams: dict[str, Callable] = {}
        self.connected = True

    def isconnected(self) -> bool:
        return self.connected

    @property
    def remote_participants(self) -> dict[str, Seen]:
        me = self.local_participant.identity
        return {name: self.hub.seen(name) for name in self.hub.rooms if name != me}

    def register_byte_stream_handler(self, topic: str, handler: Callable) -> None:
        self.streams[topic] = handler

    def unregister_byte_stream_handler(self, topic: str) -> None:
        self.streams.pop(topic, None)


@dataclass
class Hub:
    """What a server would be."""

    rooms: dict[str, FakeRoom] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)

    def join(self, identity: str, kind: int = STANDARD) -> FakeRoom:
        self.rooms[identity], self.kinds[identity] = FakeRoom(self, identity), kind
        return self.rooms[identity]

    def seen(self, identity: str) -> Seen:
        """As others see a participant."""
        tracks = self.rooms[identity].local_participant.tracks if identity in self.rooms else {}
        return Seen(identity, self.kinds[identity], tracks)

    def drop(self, identity: str) -> None:
        who = self.seen(identity)
        del self.rooms[identity]
        for room in self.rooms.values():
            room.emit("participant_disconnected", who)
