"""Several sessions and several viewers on one port."""

import asyncio
import json
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
import viser
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from gtalk.viewer.audio.sources import PushSource
from gtalk.viewer.gui.guard import INNER_HEADER
from gtalk.viewer.live import sessions
from tests.viewer.live_servers import live_server, voice


def fetch(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_sessions_share_nothing_and_their_number_is_limited() -> None:
    with live_server(32, max_sessions=2) as (server, said):
        status, page = fetch(server.url + "s/ada/")
        assert (status, b"<title>gtalk" in page) == (200, True)
        assert fetch(server.url + "s/ada/app.js")[0] == 200
        assert fetch(server.url + "s/bob/") == (
            503,
            b"2 sessions are open, as many as this server allows (--max-sessions)\n",
        )
        assert fetch(server.url + "s/No%20Name/")[0] == 404
        assert b"<title>gtalk" in fetch(server.url + "s/ada")[1], "led to /s/ada/"
        one, two = server.main, server.rooms._rooms["ada"]
        source = PushSource("text", audible=True, bounded=False)
        source.push(voice(5.0))
        heard = one.session.listen(lambda: None), two.session.listen(lambda: None)
        one.session.play(source)
        two.session.set_camera(two.session.talker.avatar.camera.resized(32, 32))
        time.sleep(0.6)
        loud = [max(float(np.abs(frame.samples).max()) for frame in list(listener.frames)) for listener in heard]
        assert loud[0] > 0.2
        assert loud[1] == 0.0
        assert one.session.view.camera is None
        assert one.session.talker is not two.session.talker
        assert "session 'ada' opened" in said


def test_a_session_that_nobody_looks_at_is_closed_and_frees_its_threads(monkeypatch) -> None:
    monkeypatch.setattr(sessions, "_IDLE_S", 0.3)
    monkeypatch.setattr(sessions, "_LOOK_EVERY_S", 0.1)
    with live_server(32, max_sessions=2) as (server, said):
        before = sum(thread.name == "gtalk-live" for thread in threading.enumerate())
        fetch(server.url + "s/ada/")
        assert server.rooms.names == ["", "ada"]
        end = time.monotonic() + 10
        while len(server.rooms.names) > 1 and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.3)
        assert server.rooms.names == [""]
        assert "session 'ada' closed, nobody was there" in said
        assert sum(thread.name == "gtalk-live" for thread in threading.enumerate()) == before
        assert fetch(server.url + "s/bob/")[0] == 200


def test_a_viewer_that_reads_nothing_slows_nobody() -> None:
    with live_server(128, jpeg_quality=100) as (server, _):
        address = server.url.replace("http", "ws") + "media"

        async def run() -> tuple[int, int]:
            # The slow one opens the socket and never reads: its buffers fill, its queue overflows.
            slow = await connect(address, max_size=None, max_queue=1)
            slow.transport.pause_reading()
            async with connect(address, max_size=None) as quick:
                n = 0
                while n < 100:  # four seconds of images: more than any queue holds
                    n += isinstance(await asyncio.wait_for(quick.recv(), 5), bytes)
                queues = max(len(listener.frames) for listener in server.main.session._audience.listeners)
            slow.transport.abort()
            return n, queues

        frames, queues = asyncio.run(run())
        assert frames == 100
        assert queues <= 12


def test_a_page_that_takes_the_microphone_mutes_the_one_before() -> None:
    with live_server(32) as (server, _):
        address = server.url.replace("http", "ws") + "media"

        async def notice(client) -> dict:
            while True:
                message = await asyncio.wait_for(client.recv(), 5)
                if isinstance(message, str) and "notice" in (told := json.loads(message)):
                    return told

        async def run() -> None:
            async with connect(address) as first, connect(address) as second:
                await first.send('{"do": "mic"}')
                await asyncio.sleep(0.2)
                held = server.main.session.microphone
                await second.send('{"do": "mic"}')
                assert await notice(first) == {"notice": "Another page speaks now.", "muted": True}
                assert server.main.session.microphone is not held
                await second.close()
                await asyncio.sleep(0.3)
                assert server.main.session.microphone is None

        asyncio.run(run())


def test_viser_behind_the_gate_tells_nothing_to_whoever_comes_around_it() -> None:
    with live_server(32) as (server, _):
        panels = server.main.panels
        protocol = Subprotocol(f"viser-v{viser.__version__}")

        async def run() -> None:
            for forged in ({}, {INNER_HEADER: "guess"}):
                async with connect(
                    f"ws://127.0.0.1:{panels.server.get_port()}/", subprotocols=[protocol], additional_headers=forged
                ) as client:
                    with pytest.raises(ConnectionClosed, match="1008"):
                        await client.send(b"\0" * 64)
                        await asyncio.wait_for(client.recv(), 5)
            async with connect(server.url.replace("http", "ws") + "viser/", subprotocols=[protocol]) as client:
                assert isinstance(await asyncio.wait_for(client.recv(), 10), bytes), "the page gets its controls"
            await asyncio.sleep(0.5)
            assert panels._server._websock_server._live_connections == {}, "nothing is left of them"

        asyncio.run(run())


def test_text_is_said_and_a_bad_voice_is_told() -> None:
    pytest.importorskip("espeakng_loader")
    with live_server(32) as (server, _):

        async def run() -> None:
            async with connect(server.url.replace("http", "ws") + "media") as page:
                await page.send(json.dumps({"do": "say", "text": "hello", "voice": "klingonese"}))
                while True:
                    message = await asyncio.wait_for(page.recv(), 5)
                    if isinstance(message, str) and "notice" in message:
                        break
                assert "klingonese" in message
                await page.send(json.dumps({"do": "say", "text": "hello hello"}))
                for _ in range(100):
                    await asyncio.sleep(0.02)
                    if server.main.session.source is not None:
                        return
                raise AssertionError("nothing was said")

        asyncio.run(run())
