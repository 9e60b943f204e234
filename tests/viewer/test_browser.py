"""The live page in a real browser, with a real (fake-device) microphone, on a toy avatar."""

import asyncio
import json

import numpy as np
import pytest
from websockets.asyncio.client import connect

from gtalk.errors import UserError
from gtalk.media.audio import write_wav
from gtalk.motion.control import Controls
from gtalk.talk import Talker
from gtalk.types import AUDIO_RATE, AudioTrack
from gtalk.viewer.config import ViewConfig
from gtalk.viewer.server import LiveServer
from gtalk.viewer.sources import PushSource
from tests.toys import ToyAvatar, ToyMotionModel
from tests.viewer.browser import Browser, needs_chromium


@pytest.fixture
def server():
    avatar = ToyAvatar(64)
    live = LiveServer(Talker(avatar, ToyMotionModel(avatar.basis)), ViewConfig(port=0, size=64), Controls())
    live.start()
    yield live
    live.stop()


def bursts(seconds: float) -> np.ndarray:
    """Half a second of voice, half a second of silence, and so on."""
    times_s = np.arange(round(seconds * AUDIO_RATE)) / AUDIO_RATE
    return (0.5 * np.sin(2 * np.pi * 200 * times_s) * (times_s % 1.0 < 0.5)).astype(np.float32)


@needs_chromium
def test_the_page_shows_moving_pictures_and_viser(server) -> None:
    browser = Browser()
    try:
        browser.open(server.url)
        browser.wait("window.gtalk && window.gtalk.shown > 10")
        browser.wait(
            "(document.querySelector('iframe').contentDocument.body || document.body).innerText.includes('Say it')"
        )
        browser.wait("document.querySelector('iframe').contentDocument.body.innerText.includes('Blinks')")
        first = browser.run("window.gtalk.shown")
        browser.run("new Promise((done) => setTimeout(done, 2000))")
        rate = (browser.run("window.gtalk.shown") - first) / 2
        assert 15 < rate < 40
        browser.run("document.getElementById('mic').click()")
        browser.wait("document.getElementById('say').textContent.includes('microphone')")
    finally:
        browser.close()


@needs_chromium
def test_the_mouth_moves_with_the_microphone(server, tmp_path) -> None:
    write_wav(tmp_path / "mic.wav", AudioTrack(bursts(8)))
    browser = Browser(tmp_path / "mic.wav")
    try:
        browser.open(server.url)
        browser.wait("window.gtalk && window.gtalk.shown > 10")
        browser.run("document.getElementById('mic').click()")
        browser.wait("document.getElementById('mic').classList.contains('on')")
        apertures = []
        listener = server.session.listen(lambda: None)
        for _ in range(30):
            browser.run("new Promise((done) => setTimeout(done, 100))")
            while listener.frames:
                apertures.append(listener.frames.popleft().aperture)
        assert server.session.source is not None
        assert max(apertures) > 0.05
        assert min(apertures) < 0.01
        browser.run("document.getElementById('mic').click()")
        browser.wait("!document.getElementById('mic').classList.contains('on')")
    finally:
        browser.close()


@needs_chromium
def test_played_speech_is_heard_and_in_step(server) -> None:
    browser = Browser()
    try:
        browser.open(server.url)
        browser.wait("window.gtalk && window.gtalk.shown > 5")
        browser.run("sound()")
        source = PushSource("text", audible=True, bounded=False)
        source.push(bursts(6))
        server.session.play(source)
        browser.wait("window.gtalk.skew.length > 60")
        skew = browser.run("window.gtalk.skew")
        assert abs(np.median(skew) - 20) < 40  # the middle of a 40 ms frame, within one frame
    finally:
        browser.close()


def test_garbage_and_floods_close_only_their_own_connection(server) -> None:
    async def run() -> None:
        address = server.url.replace("http", "ws") + "media"
        async with connect(address, origin=server.url.rstrip("/"), max_size=None) as good:
            for bad in (b"garbage", "not json", json.dumps({"do": "format the disk"}), b"M" + b"\0" * 1_000_000):
                async with connect(address, max_size=None) as evil:
                    await evil.send(bad)
                    with pytest.raises(Exception, match=r"1008|1009"):
                        while True:
                            await asyncio.wait_for(evil.recv(), 5)
            seen = [await asyncio.wait_for(good.recv(), 5) for _ in range(5)]
            assert any(message[:1] == b"F" for message in seen if isinstance(message, bytes))

    asyncio.run(run())


def test_a_port_in_use_is_the_users_fault(server) -> None:
    avatar = ToyAvatar(32)
    second = LiveServer(Talker(avatar, ToyMotionModel(avatar.basis)), ViewConfig(port=server.port))
    with pytest.raises(UserError, match=f"port {server.port}"):
        second.start()
