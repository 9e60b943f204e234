"""The component in a real browser: the same images as the Talker's, and what a visitor may meet."""

import base64
import functools
import http.server
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from gtalk.avatar.gaussian import GaussianAvatar
from gtalk.export.web.message import pack_message
from gtalk.export.web.pack import VERSION, pack_avatar
from gtalk.export.web.site import idle_motion, write_site
from gtalk.marks.identity import NOBODY
from gtalk.marks.reading import MarkReader
from gtalk.media.audio import write_wav
from gtalk.rig.expression import parse
from gtalk.talk import load_character
from gtalk.talk.orbit import orbit_camera
from gtalk.types import AudioTrack, Motion
from tests.avatar.expressing.speaking_face import speaking_face
from tests.support.toys import speech_like
from tests.viewer.chromium import Browser, needs_chromium

pytestmark = [needs_chromium, pytest.mark.slow]
ELEMENT = "document.querySelector('gtalk-avatar')"
WORDS = f"({ELEMENT}?.shadowRoot?.querySelector('.words').textContent ?? '')"
DRAW = """(async () => {
  const { readMessage } = await import('/format.js'), { orbit } = await import('/pose.js');
  const avatar = document.querySelector('gtalk-avatar'), canvas = avatar.shadowRoot.querySelector('canvas');
  const message = await readMessage(await (await fetch('/message.gtm')).arrayBuffer());
  avatar.inView = false;
  const { pivot_m, up, camera: { width, height } } = avatar.header;
  Object.assign(canvas, { width, height });
  avatar.renderer.draw(message.row(FRAME), { T_new_own: orbit(YAW, PITCH, DISTANCE, pivot_m, up), background: BEHIND });
  return canvas.toDataURL('image/png');
})()"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A static host."""

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def avatar(small_person: Path) -> GaussianAvatar:
    """One before a room as smooth as rooms are: noise is nothing for JPEG."""
    own = load_character(small_person).avatar
    assert isinstance(own, GaussianAvatar)
    plate = cv2.GaussianBlur(own.plate, (0, 0), 5.0)
    return GaussianAvatar(own.config, replace(own.parts, plate=plate), own.learned)


@pytest.fixture(scope="module")
def site(
    avatar: GaussianAvatar, small_person: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path, Motion]]:
    """(address, folder, motion of its message)."""
    folder = tmp_path_factory.mktemp("web")
    character = load_character(small_person)
    write_wav(folder / "s.wav", AudioTrack(speech_like(1.2)))
    motion = Motion.concatenate([m.motion for m in character.talker().moments([speech_like(1.2)])])
    captions = "WEBVTT\n\n00:00.000 --> 00:00.600\nHello\n\n00:00.600 --> 00:01.200\nyou"
    write_site(avatar, folder / "site", character.identity, idle_motion(character), motion,
               folder / "s.wav", captions)  # fmt: skip
    handler = functools.partial(Quiet, directory=folder / "site")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", folder / "site", motion
        server.shutdown()


@pytest.fixture(scope="module")
def page(site: tuple[str, Path, Motion]) -> Iterator[Browser]:
    browser = Browser(size=(900, 900))
    try:
        browser.open(site[0])
        browser.run("""window.unhandled = [];
          addEventListener('unhandledrejection', ({ reason }) => unhandled.push(String(reason)));
          addEventListener('error', ({ message }) => unhandled.push(message));""")
        browser.wait(f"!!{ELEMENT}?.renderer", 40)
        yield browser
        assert browser.run("unhandled") == []
    finally:
        browser.close()


def drawn(page: Browser, frame: int, view: tuple[float, float, float], behind: str) -> np.ndarray:
    script = DRAW.replace("FRAME", str(frame)).replace("BEHIND", behind)
    for name, value in zip(("YAW", "PITCH", "DISTANCE"), view, strict=True):
        script = script.replace(name, str(value))
    data = base64.b64decode(page.run(script).partition(",")[2])
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(1e-9, np.square(a.astype(float) - b).mean())))


@pytest.mark.parametrize(("frame", "view"), [(0, (0.0, 0.0, 1.0)), (20, (0.0, 0.0, 1.0)), (10, (0.17, -0.1, 1.2))])
def test_the_pages_image_is_the_talkers(site, page: Browser, avatar: GaussianAvatar, frame: int, view) -> None:
    away_m = float((avatar.camera.T_camera_world @ avatar.pose_code.T_world_mean)[2, 3])
    T_world_camera = np.linalg.inv(avatar.camera.T_camera_world)
    pivot = T_world_camera[:3, 3] + T_world_camera[:3, 2] * away_m
    camera = orbit_camera(avatar.camera, pivot, *view)
    rgb, alpha = (value[0].numpy() for value in avatar.render_bytes(site[2][frame], camera))
    seen = drawn(page, frame, view, "'plate'")[..., 2::-1]
    assert psnr(seen, rgb) > 38
    assert np.ptp(rgb.astype(int)) > 50, "there is something to see"
    coverage = drawn(page, frame, view, "null")[..., 3].astype(int)
    assert np.abs(coverage - alpha).mean() < 2 and coverage.max() > 200


def test_the_pages_image_of_an_expression_is_the_talkers(site, page: Browser) -> None:
    avatar, motion = speaking_face()
    weights = parse("happy:0.8+jawOpen:0.3").vector()[None].astype(np.float32)
    smiling = motion[8].replace(channels={"expression": weights})
    facts = asdict(replace(NOBODY, watermark=False))
    (site[1] / "smiling.bin").write_bytes(pack_avatar(avatar, facts))
    (site[1] / "smiling.gtm").write_bytes(pack_message(avatar, smiling, facts))
    data = page.run("""(async () => {
      const { Renderer, readAvatar } = await import('/renderer.js'), { readMessage } = await import('/format.js');
      const bytes = async (name) => (await fetch(name)).arrayBuffer();
      const canvas = Object.assign(document.createElement('canvas'), { width: 96, height: 96 });
      const plate = Object.assign(document.createElement('canvas'), { width: 96, height: 96 });
      const pen = plate.getContext('2d'), T_new_own = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0];
      pen.fillStyle = 'rgb(30, 30, 30)';
      pen.fillRect(0, 0, 96, 96);
      const renderer = new Renderer(canvas, await readAvatar(await bytes('/smiling.bin')), plate);
      renderer.draw((await readMessage(await bytes('/smiling.gtm'))).row(0), { T_new_own });
      return canvas.toDataURL('image/png');
    })()""")
    seen = cv2.imdecode(np.frombuffer(base64.b64decode(data.partition(",")[2]), np.uint8), cv2.IMREAD_COLOR)
    wanted, plain = (avatar.render_bytes(shown)[0][0].numpy() for shown in (smiling, motion[8]))
    assert psnr(seen[..., ::-1], wanted) > 38
    assert psnr(plain, wanted) < 30, "there is something to see"


def test_an_emotion_that_nobody_knows_is_told(page: Browser) -> None:
    script = """(async () => {
      const { weightsOf } = await import('/emotion.js');
      const words = { shapes: ['mouthSmileLeft', 'mouthSmileRight', 'browDownLeft', 'cheekPuff', 'cheekPuffLeft'],
        whole: { cheekPuff: ['cheekPuffLeft'] }, aliases: { joy: 'happy' },
        recipes: { happy: { shapes: { mouthSmileLeft: [0.8, 1], browDownLeft: [0.5, 2] } } } };
      try {
        return [...weightsOf(TEXT, words)].map((w) => Math.round(1000 * w) / 1000);
      } catch (error) { return error.message; }
    })()"""
    asked = lambda text: page.run(script.replace("TEXT", repr(text)))  # noqa: E731
    assert asked("joy:0.5") == [0.4, 0, 0.125, 0, 0] and asked("") == [0, 0, 0, 0, 0]
    assert asked("happy:0.5@brows+mouthSmile:0.3") == [0.3, 0.3, 0.125, 0, 0] and asked("cheekPuff") == [0, 0, 0, 0, 1]
    assert "not known" in asked("hapy") and "0 to 1" in asked("happy:3") and "regions" in asked("happy@nose")


def test_the_gaze_turns_and_one_that_nobody_can_read_is_told(page: Browser) -> None:
    told = page.run("""(async () => {
      const { Gaze, gazeOf } = await import('/gaze.js'), face = { size: 6, arrays: {
        code_spread: [1, 1, 1, 1, 2, 2], code_mean: [0, 0, 0, 0, 0, 0],
        code_low: [0, 0, 0, 0, -1, -1], code_high: [0, 0, 0, 0, 1, 1] } };
      const looked = (text, yaw = 0) => {
        const gaze = new Gaze(face);
        gaze.asked = gazeOf(text);
        const row = gaze.over(new Float32Array(6), { yaw, pitch: 0 }, 9);
        return [...row].map((value) => Math.round(1000 * value) / 1000);
      };
      const refused = (text) => { try { return gazeOf(text); } catch (error) { return error.message; } };
      return [looked('', 0.2), looked('visitor', 0.2), looked('6,-3'), looked('90,0'), refused('left'), refused('3,')];
    })()""")
    assert told[0] == [0] * 6 and told[1] == [0, 0, 0, 0, 0.4, 0]
    assert told[2] == [0, 0, 0, 0, 0.209, -0.105], "degrees as the codes' own unit"
    assert told[3][4] == 0.6, "no further than the clip has shown, and a little"
    assert all("degrees" in words for words in told[4:])


def test_a_slow_network_is_told_and_a_still_picture_shown_meanwhile(site, page: Browser) -> None:
    told = "document.getElementById('other').shadowRoot"
    pace = dict(offline=False, latency=0, uploadThroughput=-1)
    size = (site[1] / "avatar.bin").stat().st_size
    page.call("Network.enable")
    page.call("Network.setCacheDisabled", cacheDisabled=True)
    page.call("Network.emulateNetworkConditions", **pace, downloadThroughput=size / 4)
    page.run("""(() => { const other = document.createElement('gtalk-avatar'); other.id = 'other';
      other.setAttribute('src', './'); document.body.append(other); })()""")
    page.wait(f"/Loading: [1-9][0-9]? %/.test({told}.querySelector('.words').textContent)", 30)
    assert page.run(f"!{told}.querySelector('img').hidden && {told}.querySelector('canvas').hidden")
    page.call("Network.emulateNetworkConditions", **pace, downloadThroughput=-1)
    page.wait(f"!!document.getElementById('other').renderer && !{told}.querySelector('.words').textContent", 30)
    page.call("Network.disable")
    page.run("document.getElementById('other').remove()")


def test_every_picture_carries_the_invisible_mark(page: Browser, small_person: Path) -> None:
    reader = MarkReader()
    sized = DRAW.replace("{ width, height });", "{ width: 320, height: 320 });").replace("BEHIND", "'plate'")
    for frame in (0, 10, 20):
        script = sized.replace("FRAME", str(frame)).replace("YAW", "0").replace("PITCH", "0").replace("DISTANCE", "1")
        data = base64.b64decode(page.run(script).partition(",")[2])
        reader.add(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1].copy())
    found = reader.read()
    assert found is not None and found.payload.hex() == load_character(small_person).identity.avatar_id


def test_a_message_plays_to_its_end_with_its_captions(page: Browser) -> None:
    page.run(f"""(async () => {{
      const avatar = {ELEMENT};
      avatar.inView = true; window.told = [];
      for (const name of ['play', 'ended', 'caption'])
        avatar.addEventListener(name, ({{ detail }}) => told.push(detail ?? name));
      await avatar.play('message.gtm');
    }})()""")
    page.wait("told.includes('ended')", 30)
    told = page.run("told")
    assert told[0] == "play" and [word for word in told if word in ("Hello", "you")] == ["Hello", "you"]
    assert abs(page.run(f"{ELEMENT}.duration") - 1.2) < 0.05
    assert not page.run(f"{ELEMENT}.playing")


def test_a_message_of_another_avatar_or_of_nothing_is_refused_in_words(page: Browser) -> None:
    for given, words in (
        ("new ArrayBuffer(80)", "no GTMO file"),
        ("'avatar.bin'", "no GTMO file"),
        ("'none.gtm'", "404"),
    ):
        assert words in page.run(f"{ELEMENT}.play({given}).then(() => 'played', (error) => error.message)")


def test_sound_that_is_refused_is_asked_for(page: Browser) -> None:
    button = f"{ELEMENT}.shadowRoot.querySelector('button')"
    page.run(f"""(async () => {{
      const play = HTMLMediaElement.prototype.play;
      window.allow = () => {{ HTMLMediaElement.prototype.play = play; }};
      HTMLMediaElement.prototype.play = () => Promise.reject(new DOMException('not now', 'NotAllowedError'));
      await {ELEMENT}.play('message.gtm');
    }})()""")
    assert page.run(f"!{button}.hidden && {ELEMENT}.playing"), "it moves, and asks for a touch"
    page.run(f"allow(); {button}.click(); 0")
    page.wait(f"{button}.hidden")
    page.run(f"{ELEMENT}.pause()")


def test_a_lost_picture_comes_back(page: Browser) -> None:
    page.run(f"""{ELEMENT}.inView = true;
      window.drawn = {ELEMENT}.shadowRoot.querySelector('canvas').getContext('webgl2');
      (window.lose = drawn.getExtension('WEBGL_lose_context')).loseContext()""")
    page.wait(f"!{ELEMENT}.renderer && {WORDS}.includes('lost')")
    page.run("lose.restoreContext()")
    assert page.wait(f"!!{ELEMENT}.renderer && !{WORDS}"), "it draws again, and says nothing more"


def test_it_says_that_it_is_generated_unless_the_page_does(page: Browser) -> None:
    label = f"{ELEMENT}.shadowRoot.querySelector('.label')"
    assert page.run(f"{label}.textContent") == "AI generated" and not page.run(f"{label}.hidden")
    page.run("""(() => { const other = document.createElement('gtalk-avatar'); other.id = 'other';
      other.setAttribute('unlabelled', ''); document.body.append(other); })()""")
    assert page.run("document.getElementById('other').shadowRoot.querySelector('.label').hidden")
    page.run("document.getElementById('other').remove()")


def test_without_webgl_a_still_picture_is_shown_and_told(page: Browser) -> None:
    told = "document.getElementById('other').shadowRoot"
    page.run("""(() => { window.getContext = HTMLCanvasElement.prototype.getContext;
      HTMLCanvasElement.prototype.getContext = () => null;
      const other = document.createElement('gtalk-avatar'); other.id = 'other';
      other.setAttribute('src', './'); document.body.append(other); })()""")
    page.wait(f"{told}.querySelector('.words').textContent.includes('no WebGL2')", 30)
    page.run("HTMLCanvasElement.prototype.getContext = window.getContext; 0")
    assert page.wait(f"{told}.querySelector('img').naturalWidth > 0 && !{told}.querySelector('img').hidden")
    page.run("document.getElementById('other').remove()")


@pytest.mark.parametrize("words", ["ends within", "cannot be unpacked", "version 99", "could not be loaded"])
def test_a_file_that_cannot_be_read_is_told(site, page: Browser, words: str) -> None:
    folder, whole = site[1], (site[1] / "avatar.bin").read_bytes()
    version = f'"version": {VERSION}'.encode()
    damaged = {
        "ends within": whole[:1000],
        "cannot be unpacked": whole[: len(whole) - 5000] + bytes(5000),
        "version 99": whole.replace(version, b'"version":99', 1),
        "could not be loaded": None,
    }[words]
    broken = folder / words.replace(" ", "-")  # a host that answers by the second would send the last one's file
    broken.mkdir()
    for name in ("idle.gtm", "plate.jpg", "poster.jpg"):
        (broken / name).write_bytes((folder / name).read_bytes())
    if damaged is not None:
        (broken / "avatar.bin").write_bytes(damaged)
    told = "document.getElementById('other').shadowRoot"
    page.run(f"""(() => {{ const other = document.createElement('gtalk-avatar'); other.id = 'other';
      other.setAttribute('src', '{broken.name}/'); document.body.append(other); }})()""")
    page.wait(f"{told}.querySelector('.words').textContent.includes('still picture')", 30)
    assert words in page.run(f"{told}.querySelector('.words').textContent")
    assert page.wait(f"{told}.querySelector('img').naturalWidth > 0 && {told}.querySelector('canvas').hidden")
    page.run("document.getElementById('other').remove()")
