"""Media through a real TURN server (coturn, where it is installed): the peer is told of no other way."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from gtalk.viewer.live.session import LiveSession
from gtalk.viewer.webrtc.ice import ice_servers
from gtalk.viewer.webrtc.peers import Peers
from tests.viewer.live_servers import toy_cast

aiortc = pytest.importorskip("aiortc", reason="needs the extra webrtc")

from gtalk.viewer.webrtc import peer as made  # noqa: E402

pytestmark = pytest.mark.skipif(shutil.which("turnserver") is None, reason="needs the program turnserver (coturn)")


@pytest.fixture
def turn(tmp_path: Path) -> Iterator[str]:
    """USER:PASSWORD@HOST:PORT of a server."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    options = ["-n", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", f"--listening-port={port}", "--lt-cred-mech",
               "--user=ada:secret", "--realm=test", "--no-tls", "--no-dtls", "--no-cli", "--allow-loopback-peers",
               f"--pidfile={tmp_path / 'pid'}", f"--userdb={tmp_path / 'db'}",
               f"--log-file={tmp_path / 'log'}"]  # fmt: skip
    server = subprocess.Popen(["turnserver", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert server.poll() is None
        asyncio.run(asyncio.sleep(0.05))
    yield f"ada:secret@127.0.0.1:{port}"
    server.terminate()
    server.wait()


@pytest.mark.parametrize("query", ["", "?transport=tcp"])
def test_pictures_come_through_the_relay_alone(turn: str, query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    only = aiortc.RTCIceTransportPolicy.RELAY  # else the two would find each other without it
    monkeypatch.setattr(made, "RTCConfiguration", partial(aiortc.RTCConfiguration, iceTransportPolicy=only))

    async def live() -> None:
        session = LiveSession(toy_cast(64)())
        session.start()
        peers = Peers(session, label=False, mic=False, ice=ice_servers([f"turn:{turn}{query}"]))
        there, tracks = aiortc.RTCPeerConnection(aiortc.RTCConfiguration([])), {}
        there.on("track", lambda track: tracks.__setitem__(track.kind, track))
        for kind in ("audio", "video"):
            there.addTransceiver(kind, direction="recvonly")
        await there.setLocalDescription(await there.createOffer())
        name, answer = await peers.enter(there.localDescription.sdp)
        kinds = set(re.findall(r"a=candidate:.* typ (\w+)", answer))
        assert kinds == {"relay"}
        await there.setRemoteDescription(aiortc.RTCSessionDescription(answer, "answer"))
        async with asyncio.timeout(30.0):
            seen = [await tracks["video"].recv() for _ in range(3)]
        assert seen[-1].width == 64
        ice = there.getReceivers()[0].transport.transport._connection
        way = {pair.remote_candidate.type for pair in ice._nominated.values()}
        assert way == {"relay"}
        await peers.leave(name)
        await there.close()
        session.stop()

    asyncio.run(live())
