"""The live page in a real browser, with a real (fake-device) microphone, on a toy avatar."""

import asyncio
import contextlib
import json
import threading
import urllib.request
from contextlib import contextmanager

import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.media.audio import read_audio, write_wav
from gtalk.media.video import read_video
from gtalk.motion.edits.controls import control_specs
from gtalk.types import AUDIO_RATE, AudioTrack
from gtalk.viewer.audio.sources import FileSource, PushSource
from gtalk.viewer.config import ViewConfig
from gtalk.viewer.server import LiveServer
from tests.viewer.chromium import Browser, needs_chromium
from tests.viewer.live_servers import bursts, live_server, toy_cast

# Counts the dark red of the toy's open mouth in the canvas that the visitor sees, each time an image is shown.
WATCH_MOUTH = """(() => {
  const probe = new OffscreenCanvas(128, 128).getContext('2d', { willReadFrequently: true });
  window.seen = [];
  let last = -1;
  const look = () => {
    requestAnimationFrame(look);
    if (gtalk.shown === last) return;
    last = gtalk.shown;
    probe.drawImage(document.getElementById('face'), 0, 0, 128, 128);
    const pixels = probe.getImageData(0, 0, 128, 128).data;
    let red = 0;
    for (let i = 0; i < pixels.length; i += 4)
      red += pixels[i] - pixels[i + 1] > 25 && pixels[i] < 130 && pixels[i + 1] < 70;
    seen.push([performance.now(), red]);
  };
  look();
})()"""
# Level of the microphone and of the loudspeaker, on the same clock.
WATCH_SOUND = """(() => {
  window.heard = [];
  const { context, gain, microphone } = gtalk.sound;
  const meter = (node) => { const a = new AnalyserNode(context, { fftSize: 256 }); node.connect(a); return a; };
  const mic = microphone && meter(microphone.source), out = meter(gain), values = new Float32Array(256);
  const level = (a) => {
    if (!a) return 0;
    a.getFloatTimeDomainData(values);
    return Math.sqrt(values.reduce((s, v) => s + v * v, 0) / 256);
  };
  setInterval(() => heard.push([performance.now(), level(mic), level(out)]), 5);
})()"""


@contextmanager
def page_on(server: LiveServer, microphone=None, **options):
    browser = Browser(microphone, **options)
    try:
        browser.open(server.url)
        browser.wait("window.gtalk && window.gtalk.shown > 10")
        yield browser
    finally:
        browser.close()


@pytest.fixture
def microphone(tmp_path):
    write_wav(tmp_path / "mic.wav", AudioTrack(bursts(8)))
    return tmp_path / "mic.wav"


def click(browser, button: str) -> None:
    browser.run(f"document.getElementById('{button}').click()")


def speech(seconds: float) -> PushSource:
    source = PushSource("text", audible=True, bounded=False)
    source.push(bursts(seconds))
    return source


def best_lag(times_s: np.ndarray, level: np.ndarray, seen_s: np.ndarray, mouth: np.ndarray) -> tuple[float, float]:
    """(correlation, seconds) at which the mouth follows a level best."""
    lags_s = np.arange(0, 0.5, 0.01)
    scores = [np.corrcoef(np.interp(seen_s - lag, times_s, level), mouth)[0, 1] for lag in lags_s]
    return float(np.max(scores)), float(lags_s[int(np.argmax(scores))])


@needs_chromium
def test_the_page_shows_moving_images_and_settings_and_tells_why_there_is_no_microphone() -> None:
    with live_server(64) as (server, _), page_on(server) as browser:
        first = browser.run("gtalk.shown")
        browser.wait(f"gtalk.shown > {first} + 50")
        assert browser.run("document.getElementById('panel').hidden") is False
        browser.wait("document.querySelector('iframe').contentDocument?.body?.innerText.includes('Blink rate')")
        click(browser, "mic")
        browser.wait("gtalk.notice.includes('denied')")
        assert browser.run("document.getElementById('notice').hidden") is False
        assert browser.run("gtalk.shown") > first, "the avatar lives on"


@needs_chromium
def test_the_mouth_that_is_seen_follows_the_microphone(microphone) -> None:
    with live_server(128) as (server, _), page_on(server, microphone) as browser:
        click(browser, "mic")
        browser.wait("document.getElementById('mic').classList.contains('on')")
        browser.run(WATCH_MOUTH)
        browser.run(WATCH_SOUND)
        browser.run("new Promise((done) => setTimeout(done, 6000))")
        seen, heard = np.array(browser.run("seen")), np.array(browser.run("heard"))
        later = heard[0, 0] + 600
        mouth = seen[seen[:, 0] > later]
        correlation, lag_s = best_lag(heard[:, 0] / 1e3, heard[:, 1], mouth[:, 0] / 1e3, mouth[:, 1])
        assert mouth[:, 1].max() > 2 * mouth[:, 1].min()
        assert correlation > 0.8
        assert lag_s < 0.3
        latency = np.array(browser.run("gtalk.latency"))
        assert len(latency) > 20
        assert abs(np.median(latency) / 1e3 - lag_s) < 0.08, "the latency on the page is the one that is seen"
        assert all(browser.run("[gtalk.level > 0 || gtalk.level === 0, gtalk.stats.speaking === 'browser microphone']"))


@needs_chromium
def test_speech_is_heard_in_step_and_a_barge_in_ends_it() -> None:
    with live_server(128) as (server, _), page_on(server) as browser:
        browser.run("gtalk.sound.start()")
        long = PushSource("text", audible=True, bounded=False)
        long.push((0.5 * np.sin(2 * np.pi * 200 * np.arange(20 * AUDIO_RATE) / AUDIO_RATE)).astype(np.float32))
        server.main.session.play(long)
        browser.wait("gtalk.skew.length > 60")
        assert abs(np.median(browser.run("gtalk.skew"))) < 20
        browser.run(WATCH_MOUTH)
        browser.run(WATCH_SOUND)
        browser.run("new Promise((done) => setTimeout(done, 500))")
        open_area = np.array(browser.run("seen"))[:, 1].max()
        cut = browser.run("(() => { document.getElementById('stop').click(); return performance.now(); })()")
        browser.run("new Promise((done) => setTimeout(done, 1500))")
        seen, heard = np.array(browser.run("seen")), np.array(browser.run("heard"))
        shut = seen[-5:, 1].max()
        assert shut < 0.7 * open_area
        moving = seen[seen[:, 1] > shut + 0.1 * (open_area - shut), 0].max() - cut
        loud = heard[heard[:, 2] > 0.005, 0].max() - cut
        assert moving < 200, "150 ms on a machine of its own"
        assert loud < 150


@needs_chromium
def test_the_visitors_voice_cuts_in_on_what_the_avatar_says(microphone) -> None:
    with live_server(128) as (server, _), page_on(server, microphone) as browser:
        click(browser, "mic")
        browser.wait("document.getElementById('mic').classList.contains('on')")
        browser.run(WATCH_SOUND)
        long = PushSource("text", audible=True, bounded=False)
        long.push((0.2 * np.sin(2 * np.pi * 300 * np.arange(20 * AUDIO_RATE) / AUDIO_RATE)).astype(np.float32))
        browser.wait("heard.length > 100 && heard.slice(-15).every(([_, mic]) => mic < 0.01)")  # in a pause
        server.main.session.play(long)
        browser.wait("gtalk.stats.speaking === 'browser microphone'")
        browser.run("new Promise((done) => setTimeout(done, 700))")
        heard = np.array(browser.run("heard"))
        assert server.main.session.source is server.main.session.microphone
        assert (heard[:, 1] > 0.05).any(), "the visitor spoke"
        assert not (heard[-20:, 2] > 0.05).any(), "of its 20 s it kept the rest to itself"


@needs_chromium
def test_the_panel_has_what_the_model_exposes(tmp_path) -> None:
    cast = toy_cast(64)
    server = LiveServer(cast, ViewConfig(port=0, size=64), lambda _: None)
    server.start()
    try:
        with page_on(server) as browser:
            wanted = [spec.label for spec in control_specs()]
            wanted += ["Barge-in", "Height", "Background", "JPEG quality", "Play a file"]
            text = "document.querySelector('iframe').contentDocument?.body?.innerText"
            browser.wait(f"{text}?.includes('Play a file')")
            shown = browser.run(text)
            assert [name for name in wanted if name not in shown] == []
    finally:
        server.stop()


@needs_chromium
def test_a_recording_holds_what_was_seen_and_heard(tmp_path) -> None:
    with live_server(64) as (server, _), page_on(server) as browser:
        click(browser, "record")
        browser.wait("gtalk.recording")
        server.main.session.play(speech(2.0))
        browser.run("new Promise((done) => setTimeout(done, 3000))")
        click(browser, "record")
        browser.wait("gtalk.recording === false")
        with urllib.request.urlopen(server.url + "recording.mp4") as answer:
            (tmp_path / "seen.mp4").write_bytes(answer.read())
    images = list(read_video(tmp_path / "seen.mp4"))
    sound = read_audio(tmp_path / "seen.mp4").samples
    assert 60 <= len(images) <= 150  # a busy machine clicks late
    assert abs(len(sound) / AUDIO_RATE - len(images) / 25) < 0.1
    wanted = np.abs(bursts(2.0))
    found = np.correlate(np.abs(sound), wanted[: len(sound)], "valid")
    at = int(np.argmax(found))
    assert np.corrcoef(np.abs(sound[at : at + len(wanted)]), wanted)[0, 1] > 0.9
    assert np.std([image.mean() for image in images]) > 0.01, "it moves"


@needs_chromium
def test_unplugged_in_the_middle_and_another_sample_rate(microphone) -> None:
    with live_server(64) as (server, _), page_on(server, microphone) as browser:
        click(browser, "mic")
        browser.wait("document.getElementById('mic').classList.contains('on')")
        browser.run("gtalk.sound.microphone.track.dispatchEvent(new Event('ended'))")
        browser.wait("gtalk.notice.includes('unplugged')")
        assert not browser.run("document.getElementById('mic').classList.contains('on')")
        browser.wait("gtalk.stats.speaking === ''")
        # Another device, at another rate.
        browser.run("""(() => { const Plain = AudioContext;
          window.AudioContext = class extends Plain { constructor(o) { super({ ...o, sampleRate: 22050 }); } };
          gtalk.sound.context = gtalk.sound.starting = null; })()""")
        click(browser, "mic")
        browser.wait("gtalk.stats.speaking === 'browser microphone'")
        browser.run("new Promise((done) => setTimeout(done, 1500))")
        listener = server.main.session.listen(lambda: None)
        browser.run("new Promise((done) => setTimeout(done, 1100))")
        loud = [float(np.abs(frame.samples).max()) for frame in list(listener.frames)]
        assert max(loud) > 0.05 or min(loud) < 0.05
        assert server.main.session.microphone is not None
        assert server.main.session.microphone._rate == 22_050


async def proxy(port: int, host: str, prefix: str) -> tuple[asyncio.Server, int]:
    """What nginx does by default: another Host, and a path that is cut off."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(1 << 16):
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
            method, target, version = lines[0].split(b" ")
            lines[0] = b" ".join([method, target.removeprefix(prefix.encode()) or b"/", version])
            lines = [b"Host: " + host.encode() if line.lower().startswith(b"host:") else line for line in lines]
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
            inner_writer.write(b"\r\n".join(lines))
            await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


@needs_chromium
def test_behind_a_proxy_below_a_path_it_lives_and_makes_new_sessions_there() -> None:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    with live_server(64, token="right") as (server, _):
        inner = proxy(server.port, "127.0.0.1:1", "/talk")
        outer, port = asyncio.run_coroutine_threadsafe(inner, loop).result()
        browser = Browser(None)
        try:
            browser.open(f"http://localhost:{port}/talk/?token=right")
            browser.wait("window.gtalk && window.gtalk.shown > 10")
            fresh = browser.run("document.getElementById('fresh').href")
            assert fresh.startswith(f"http://localhost:{port}/talk/s/")
            browser.open(fresh)
            browser.wait("window.gtalk && window.gtalk.shown > 10 && location.pathname.startsWith('/talk/s/')")
            assert browser.run("document.getElementById('fresh').href").startswith(f"http://localhost:{port}/talk/s/")
        finally:
            browser.close()
            loop.call_soon_threadsafe(outer.close)
            loop.call_soon_threadsafe(loop.stop)


@needs_chromium
def test_sound_runs_where_nobody_ever_touches_and_wakes_with_a_touch() -> None:
    with live_server(64) as (server, _), page_on(server) as browser:
        browser.wait("gtalk.sound.running")  # autoplay is allowed here, as in OBS
        assert browser.run("document.getElementById('unmute').hidden")
        for touched in ("face", "mute"):
            browser.run("gtalk.sound.context.suspend()")  # as a call or a locked screen does
            browser.wait("!gtalk.sound.running && !document.getElementById('unmute').hidden")
            x, y = browser.run(f"""(() => {{ const b = document.getElementById('{touched}').getBoundingClientRect();
              return [b.left + b.width / 2, b.top + b.height / 2]; }})()""")
            for kind in ("mousePressed", "mouseReleased"):
                browser.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
            browser.wait("gtalk.sound.running && document.getElementById('unmute').hidden")
            assert browser.run("gtalk.sound.gain.gain.value") == 1, "a touch that wakes does not mute"
        click(browser, "mute")
        assert browser.run("gtalk.sound.gain.gain.value") == 0


@needs_chromium
def test_two_tabs_see_one_session_and_the_last_to_speak_is_heard(microphone) -> None:
    with live_server(64) as (server, _), page_on(server, microphone) as first:
        second = first.tab()
        second.open(server.url)
        second.wait("window.gtalk && window.gtalk.shown > 10")
        click(first, "mic")
        first.wait("document.getElementById('mic').classList.contains('on')")
        click(second, "mic")
        first.wait("gtalk.notice.includes('Another page')")
        assert not first.run("document.getElementById('mic').classList.contains('on')")
        second.wait("gtalk.stats.speaking === 'browser microphone'")
        second.open("about:blank")  # the tab goes without a word
        first.wait("gtalk.stats.speaking === '' && gtalk.stats.listeners === 1")
        before = first.run("gtalk.shown")
        first.wait(f"gtalk.shown > {before + 10}")


@needs_chromium
def test_it_comes_back_when_the_server_does() -> None:
    with live_server(64) as (server, _), page_on(server) as browser:
        port = server.port
        server.stop()
        browser.wait("!gtalk.connected")
        browser.wait("document.getElementById('status').dataset.state === 'lost'")
        again = LiveServer(toy_cast(64), ViewConfig(port=port, size=64), lambda _: None)
        again.start()
        try:
            shown = browser.run("gtalk.shown")
            browser.wait(f"gtalk.connected && gtalk.shown > {shown + 10}")
            assert browser.wait("document.getElementById('status').dataset.state !== 'lost'")  # told once a second
        finally:
            again.stop()


@needs_chromium
def test_a_phone_has_everything_within_reach_without_a_keyboard() -> None:
    with live_server(64) as (server, _), page_on(server) as browser:
        browser.resize(390, 844, phone=True)
        browser.open(server.url)
        browser.wait("window.gtalk && window.gtalk.shown > 10")
        boxes = browser.run("""JSON.stringify(['face', 'mic', 'stop', 'mute', 'record', 'say', 'settings'].map((id) => {
          const { left, top, right, bottom } = document.getElementById(id).getBoundingClientRect();
          const hit = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
          return [id, left, top, right, bottom, !!hit && !!hit.closest('#' + id)]; }))""")
        for name, left, top, right, bottom, reachable in json.loads(boxes):
            assert 0 <= left < right <= 390, name
            assert 0 <= top < bottom <= 844, name
            assert min(right - left, bottom - top) >= 36, f"{name} is large enough for a finger"
            assert reachable, f"nothing covers {name}"
        assert browser.run("document.documentElement.scrollWidth") <= 390


def test_a_port_in_use_is_the_users_fault() -> None:
    with live_server(32) as (server, _):
        second = LiveServer(toy_cast(32), ViewConfig(port=server.port), lambda _: None)
        with pytest.raises(UserError, match=f"port {server.port}"):
            second.start()


def test_a_file_is_played_at_its_own_pace(tmp_path) -> None:
    write_wav(tmp_path / "a.wav", AudioTrack(bursts(1.0)))
    with live_server(32) as (server, _):
        listener = server.main.session.listen(lambda: None)
        server.main.session.play(FileSource(tmp_path / "a.wav"))
        heard: list = []
        while server.main.session.source is not None or len(heard) < 30:
            while listener.frames:
                heard.append(listener.frames.popleft())
        sound = np.concatenate([frame.samples for frame in heard])
    assert np.count_nonzero(np.abs(sound) > 0.25) / np.count_nonzero(np.abs(bursts(1.0)) > 0.25) == pytest.approx(
        1, rel=0.02
    )
