"""What strangers and broken clients get, and that the others go on: the security table, end to end."""

import asyncio
import json
import struct

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.viewer.live_servers import live_server

MIC = b"M" + struct.pack("<Id", 48_000, 0.0)
BAD = {
    "garbage bytes": (b"\x00\xff" * 100, "unknown binary message"),
    "text that is not JSON": ("not json", "not JSON"),
    "JSON that is no command": ("[1]", "not a command"),
    "an unknown command": ('{"do": "format the disk"}', "unknown command"),
    "a deep JSON": ("[" * 100_000, "not JSON"),
    "a megabyte": (MIC + b"\0" * 1_000_000, "1009"),
    "too long a microphone piece": (MIC + b"\0" * 100_000, "wrong size"),
    "an impossible sample rate": (b"M" + struct.pack("<Id", 7, 0.0) + b"\0\0", "sample rate 7"),
    "a view that is no number": ('{"do": "orbit", "yaw": "left"}', "without a number"),
    "a text without end": (json.dumps({"do": "say", "text": "a" * 100_000}), "at most 2000"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_bad_messages_close_their_own_connection_with_a_reason(what: str) -> None:
    message, why = BAD[what]
    with live_server(32) as (server, said):
        address = server.url.replace("http", "ws") + "media"

        async def run() -> str:
            async with connect(address, max_size=None) as good:
                async with connect(address, max_size=None) as evil:
                    await evil.send(message)
                    with pytest.raises(Exception, match=r"1008|1009") as closed:
                        while True:
                            await asyncio.wait_for(evil.recv(), 5)
                seen = [await asyncio.wait_for(good.recv(), 5) for _ in range(5)]
                assert any(message[:1] == b"F" for message in seen if isinstance(message, bytes)), "the others go on"
                return str(closed.value)

        reason = asyncio.run(run())
    assert why in reason
    assert len(said) == 1, "one line in the log"


def test_a_flood_of_messages_is_ended() -> None:
    with live_server(32) as (server, said):

        async def run() -> None:
            async with connect(server.url.replace("http", "ws") + "media") as flood:
                with pytest.raises(Exception, match="1008"):
                    while True:
                        await flood.send(MIC + b"\0\0")
                        await asyncio.sleep(0)

        asyncio.run(run())
    assert "too many messages a second" in said[0]


def test_a_client_that_vanishes_leaves_nothing_behind() -> None:
    with live_server(32) as (server, _):

        async def run() -> None:
            clients = [await connect(server.url.replace("http", "ws") + "media") for _ in range(5)]
            for client in clients:
                await client.send('{"do": "mic"}')
                await client.send(MIC + b"\0" * 768)
            await asyncio.sleep(0.3)
            assert server.main.session.stats().listeners == 5
            for client in clients:
                client.transport.abort()
            await asyncio.sleep(0.5)

        asyncio.run(run())
        assert server.main.session.stats().listeners == 0
        assert server.main.session.source is None
        assert server.main.media.n_pages == 0
        assert server.hosted.listener.visits.n_open == 0


@pytest.mark.parametrize("path", ["media", "push", "viser/", "live.mjpg", "s/x/media"])
@pytest.mark.parametrize("token", ["", "?token=wrong"])
def test_without_the_token_nothing_is_to_be_had(path: str, token: str) -> None:
    with live_server(32, token="right") as (server, said):
        address = f"ws://127.0.0.1:{server.port}/{path}{token}"

        async def run() -> None:
            with pytest.raises(InvalidStatus, match="401"):
                await connect(address)

        asyncio.run(run())
        assert server.rooms.names == [""]
    assert said[0].startswith("refused: 401")


@pytest.mark.parametrize("path", ["media", "push", "viser/"])
def test_pages_of_other_sites_cannot_open_sockets(path: str) -> None:
    with live_server(32) as (server, said):

        async def run() -> None:
            with pytest.raises(InvalidStatus, match="403"):
                await connect(server.url.replace("http", "ws") + path, origin="https://evil.example")  # type: ignore[arg-type]

        asyncio.run(run())
    assert said[0].startswith("refused: 403")


def test_a_token_opens_everything() -> None:
    with live_server(32, token="right") as (server, _):

        async def run() -> None:
            async with connect(f"ws://127.0.0.1:{server.port}/media?token=right", max_size=None) as page:
                received = [await asyncio.wait_for(page.recv(), 5)]
                while not isinstance(received[-1], bytes):
                    received.append(await asyncio.wait_for(page.recv(), 5))
                assert received[-1], "a moment of the face"

        asyncio.run(run())
