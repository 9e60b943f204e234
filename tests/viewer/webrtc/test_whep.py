"""A real peer over HTTP and WebRTC on loopback, and what is refused."""

import asyncio
import sys
import urllib.error
import urllib.request

import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.viewer.webrtc import peers as limits
from tests.viewer.live_servers import live_server, voice

aiortc = pytest.importorskip("aiortc", reason="needs the extra webrtc")


def ask(url: str, body: bytes | None, method: str, **headers: str) -> tuple[int, str, str]:
    request = urllib.request.Request(url, body, {name.replace("_", "-"): value for name, value in headers.items()})
    request.method = method
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode(), answer.headers.get("Location", "")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), ""


async def watch(server) -> dict:
    connection = aiortc.RTCPeerConnection(aiortc.RTCConfiguration([]))
    for kind in ("audio", "video"):
        connection.addTransceiver(kind, direction="recvonly")
    tracks = {}
    connection.on("track", lambda track: tracks.__setitem__(track.kind, track))
    await connection.setLocalDescription(await connection.createOffer())
    offer = connection.localDescription.sdp.encode()
    status, sdp, place = await asyncio.to_thread(
        ask, server.url + "whep", offer, "POST", Content_Type="application/sdp"
    )
    assert status == 201 and len(server.main.peers) == 1
    await connection.setRemoteDescription(aiortc.RTCSessionDescription(sdp, "answer"))
    seen = {"pictures": [await tracks["video"].recv() for _ in range(4)]}
    seen["sound"] = [await tracks["audio"].recv() for _ in range(30)]
    assert (await asyncio.to_thread(ask, server.url + place, None, "DELETE"))[0] == 200
    assert len(server.main.peers) == 0
    await connection.close()
    return seen


def test_a_peer_sees_and_hears_until_it_leaves() -> None:
    with live_server(64) as (server, _):
        from gtalk.viewer.audio.sources import speech_source

        server.main.session.play(speech_source(voice(10.0)))
        seen = asyncio.run(watch(server))
    pictures, sound = seen["pictures"], seen["sound"]
    assert pictures[-1].width == 64 and {frame.samples for frame in sound} == {960}
    assert np.abs(sound[-1].to_ndarray()).max() > 3000
    steps = np.diff([frame.pts for frame in pictures])
    assert (steps > 0).all() and (steps % 3600 == 0).all()  # of 90 kHz: whole ticks


def test_what_is_no_offer_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    with live_server(64) as (server, _):
        url, sdp = server.url + "whep", {"Content_Type": "application/sdp"}
        for offer in (b"v=0\r\n", b"\xff\xfe", b"nothing", b"v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n"):
            status, words, _ = ask(url, offer, "POST", **sdp)
            assert status == 400, (offer, words)
        assert "createOffer" in words
        assert ask(url, b"v=0", "POST", Content_Type="text/plain")[0] == 415
        assert ask(url, b"v" * 70_000, "POST", **sdp)[0] == 413
        assert ask(url, b"v=0", "POST", Origin="http://elsewhere.example", **sdp)[0] == 403
        assert ask(url, None, "PUT")[0] == 405
        assert ask(url + "?peer=nobody", None, "DELETE")[0] == 404
        assert ask(server.url, b"", "POST")[0] == 405
        monkeypatch.setattr(limits, "MOST_PEERS", 0)
        status, words, _ = ask(url, b"v=0", "POST", **sdp)
        assert status == 503 and "as many as" in words and len(server.main.peers) == 0
        assert server.main.session.stats().listeners == 0


def test_without_the_extra_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "gtalk.viewer.webrtc.peer", raising=False)
    monkeypatch.setitem(sys.modules, "aiortc", None)
    with pytest.raises(UserError, match=r"gtalk\[webrtc\]"):
        limits.peer_type()
