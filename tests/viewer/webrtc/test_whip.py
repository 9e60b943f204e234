"""WHIP against a media server that is a real second peer behind a real HTTP port."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import suppress

import numpy as np
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from gtalk.viewer.audio.sources import speech_source
from gtalk.viewer.live.session import LiveSession
from tests.viewer.live_servers import toy_cast, voice
from tests.viewer.outlets.test_pump import until

aiortc = pytest.importorskip("aiortc", reason="needs the extra webrtc")

from gtalk.viewer.webrtc import whip as whips  # noqa: E402
from gtalk.viewer.webrtc.whip import Whip, WhipError, post_offer  # noqa: E402

TOKEN = "right"


class MediaServer:
    """Takes offers at /whip, moved there from /moved; `trouble` is answered instead where it is set."""

    def __init__(self) -> None:
        self.pictures: list[np.ndarray] = []
        self.levels: list[float] = []
        self.trouble: Response | None = None
        self.asked: list[tuple[str, str]] = []
        self._peers: dict[str, aiortc.RTCPeerConnection] = {}
        routes = [
            Route("/moved", lambda request: RedirectResponse("/whip", 307), methods=["POST"]),
            Route("/whip", self._offer, methods=["POST"]),
            Route("/resource/{name}", self._end, methods=["DELETE"]),
            Route("/circle", lambda request: RedirectResponse("/circle", 308), methods=["POST"]),
        ]
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port = taken.getsockname()[1]
        self._server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=self.port, log_level="error"))
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> MediaServer:
        threading.Thread(target=self._server.run, daemon=True).start()
        until(lambda: self._server.started)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True

    async def _offer(self, request: Request) -> Response:
        self.asked.append(("POST", request.headers.get("authorization", "")))
        if self.trouble is not None:
            return self.trouble
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return PlainTextResponse("who are you", 401)
        assert request.headers["content-type"] == "application/sdp"
        self.loop = asyncio.get_running_loop()
        peer = aiortc.RTCPeerConnection(aiortc.RTCConfiguration([]))
        peer.on("track", lambda track: asyncio.ensure_future(self._take(track)))
        await peer.setRemoteDescription(aiortc.RTCSessionDescription((await request.body()).decode(), "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        name = str(len(self._peers))
        self._peers[name] = peer
        return Response(peer.localDescription.sdp, 201, {"Location": f"resource/{name}"}, "application/sdp")

    async def _end(self, request: Request) -> Response:
        self.asked.append(("DELETE", request.headers.get("authorization", "")))
        await self._peers[request.path_params["name"]].close()
        return Response()

    async def _take(self, track) -> None:
        with suppress(aiortc.mediastreams.MediaStreamError):
            while True:
                frame = await track.recv()
                if track.kind == "video":
                    self.pictures.append(frame.to_ndarray(format="rgb24"))
                else:
                    self.levels.append(float(np.abs(frame.to_ndarray()).max()))


@pytest.fixture
def session():
    session = LiveSession(toy_cast(64)())
    session.start()
    session.play(speech_source(voice(60.0)))
    yield session
    session.stop()


def test_picture_and_sound_arrive_and_the_server_is_told_of_the_end(session: LiveSession) -> None:
    said: list[str] = []
    with MediaServer() as there:
        out = Whip(session, there.url + "/moved", TOKEN, said.append, label=True)
        out.start()
        until(lambda: len(there.pictures) > 5 and max(there.levels, default=0.0) > 3000, 30)
        out.stop()
        assert there.asked == [("POST", "Bearer right"), ("DELETE", "Bearer right")]
        assert there.pictures[-1].shape == (64, 64, 3) and there.pictures[-1].std() > 10
        assert said == [f"WHIP to {there.url}: on"] and session.stats().listeners == 0


def test_a_server_that_refuses_or_comes_late_is_asked_again(
    session: LiveSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whips, "_BACK_OFF_S", (0.1,))
    said: list[str] = []
    there = MediaServer()
    out = Whip(session, there.url + "/whip", TOKEN, said.append, label=False)
    out.start()
    until(lambda: len(said) > 0)
    there.trouble = PlainTextResponse("later", 503)
    with there:
        until(lambda: any("503" in line for line in said))
        there.trouble = None
        until(lambda: len(there.pictures) > 2, 30)
        began = len(there.pictures)
        peer = next(iter(there._peers.values()))
        asyncio.run_coroutine_threadsafe(peer.close(), there.loop)
        until(lambda: len(there._peers) > 1 and len(there.pictures) > began + 5, 90)  # the server went, and came back
        out.stop()
    assert "not to be reached" in said[0] and "trying again" in said[0]


@pytest.mark.parametrize(
    ("path", "token", "answer", "words"),
    [
        ("/whip", None, None, "set \\$GTALK_WHIP_TOKEN"),
        ("/whip", TOKEN, PlainTextResponse("no", 403), "refuses the token"),
        ("/whip", TOKEN, PlainTextResponse("v=0", 200), "status 200"),
        ("/whip", TOKEN, PlainTextResponse("hello", 201), "its answer is none"),
        ("/whip", TOKEN, PlainTextResponse("v=0" * 30_000, 201), "its answer is none"),
        ("/whip", TOKEN, RedirectResponse("ftp://elsewhere/whip", 307), "without encryption"),
        ("/circle", TOKEN, None, "from place to place"),
        ("/nothing", TOKEN, None, "nothing is there"),
    ],
)
def test_what_a_server_says_otherwise_is_words(path: str, token: str | None, answer, words: str) -> None:
    with MediaServer() as there, pytest.raises(WhipError, match=words):
        there.trouble = answer
        post_offer(there.url + path, "v=0", token)
    begin_s = time.monotonic()
    with pytest.raises(WhipError, match="not to be reached"):
        post_offer("http://127.0.0.1:1/whip", "v=0", None)
    assert time.monotonic() - begin_s < 10
