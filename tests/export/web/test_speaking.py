"""A page that moves the person by any sound, with no gtalk behind it: the same motion as Python's."""

import functools
import http.server
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from gtalk.avatar.gaussian import GaussianAvatar
from gtalk.errors import UserError
from gtalk.export.web.message import frame_numbers
from gtalk.export.web.sections import read_sections, write_sections
from gtalk.export.web.site import idle_motion, write_site
from gtalk.export.web.speaker import MAGIC, VERSION, pack_speaker
from gtalk.geometry.pose import pose_vectors
from gtalk.media.audio import write_wav
from gtalk.motion.model.model import PersonMotionModel
from gtalk.motion.training.augment import AugmentConfig
from gtalk.motion.training.train import train_motion
from gtalk.talk import Character, load_character
from gtalk.types import AudioTrack, Motion
from tests.export.web.test_page import ELEMENT, Quiet
from tests.motion.talking import SMALL, write_dataset
from tests.speech.voices import babble
from tests.viewer.chromium import Browser, needs_chromium

SECONDS = 1.6
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def character(small_person: Path) -> Character:
    return load_character(small_person)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> PersonMotionModel:
    """One that hears all that a usual one hears."""
    folder = tmp_path_factory.mktemp("hearing")
    config = replace(SMALL, phones=True, articulation=True, fit=replace(SMALL.fit, steps=40, check_every=20),
                     augment=AugmentConfig(copies=0))  # fmt: skip
    return train_motion(write_dataset(folder / "data", seconds=8.0), folder / "me", config, device="cpu")


@pytest.fixture(scope="module")
def avatar(character: Character) -> GaussianAvatar:
    assert isinstance(character.avatar, GaussianAvatar)
    return character.avatar


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    return babble(SECONDS, seed=9)[0][: round(16_000 * SECONDS)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("speaking") / "site"


@pytest.fixture(scope="module")
def page(character, avatar, model, sound, site: Path) -> Iterator[Browser]:
    folder = site.parent
    write_site(avatar, folder / "site", character.identity, idle_motion(character), speaks=model)
    (folder / "site" / "sound.f32").write_bytes(sound.astype("<f4").tobytes())
    write_wav(folder / "site" / "sound.wav", AudioTrack(sound))
    (folder / "site" / "words.wav").write_text("this is no sound")
    write_wav(folder / "microphone.wav", AudioTrack(np.tile(sound, 3)))
    handler = functools.partial(Quiet, directory=folder / "site")
    browser = Browser(size=(500, 560), microphone=folder / "microphone.wav")
    try:
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            browser.open(f"http://127.0.0.1:{server.server_port}/")
            browser.wait(f"!!{ELEMENT}?.renderer", 40)
            yield browser
            server.shutdown()
    finally:
        browser.close()


@needs_chromium
def test_the_pages_motion_is_pythons(page: Browser, avatar, model: PersonMotionModel, sound) -> None:
    told = page.run("""(async () => {
      const { Speaker, readSpeaker } = await import('/speaker.js');
      const bytes = async (name) => (await fetch(name)).arrayBuffer();
      const speaker = new Speaker(await readSpeaker(await bytes('/speaker.bin')));
      const sound = new Float32Array(await bytes('/sound.f32')), rows = [];
      for (let at = 0; at < sound.length; at += 333) rows.push(...speaker.push(sound.subarray(at, at + 333)));
      return [...rows, ...speaker.finish()].map((row) => [...row]);
    })()""")
    stream = model.for_live().stream(0)
    motion = Motion.concatenate([stream.push(sound), stream.finish()])
    wanted, got = frame_numbers(avatar, motion), np.array(told)
    assert got.shape == wanted.shape
    mouth = avatar.basis.groups["mouth"]
    spread = wanted[:, mouth].std(0)
    assert spread.max() > 0.05, "the mouth moves"
    assert np.abs(got[:, mouth] - wanted[:, mouth]).max() < 0.05 * spread.max()
    assert np.isfinite(got).all()


@needs_chromium
def test_a_row_is_the_one_that_python_makes_of_the_same_pose(page: Browser, avatar, model: PersonMotionModel) -> None:
    stream = model.stream(3)
    motion = Motion.concatenate([stream.push(np.zeros(32_000, np.float32)), stream.finish()])[::6]
    codes = model.basis.encode(motion)
    faces = [
        {
            "mouth": c[model.basis.groups["mouth"]].tolist(),
            "eyes": e.tolist(),
            "gaze": g.tolist(),
            "brows_m": b.tolist(),
        }
        for c, e, g, b in zip(codes, motion.eyes, motion.gaze, motion.brows, strict=True)
    ]
    poses = pose_vectors(motion.head_pose, model.mean_pose).tolist()
    told = page.run(f"""(async () => {{
      const {{ rowOf }} = await import('/row.js'), {{ readSpeaker }} = await import('/speaker.js');
      const {{ header, arrays }} = await readSpeaker(await (await fetch('/speaker.bin')).arrayBuffer());
      const faces = {faces}, poses = {poses};
      return faces.map((face, i) => [...rowOf(face, poses[i], header, arrays)]);
    }})()""")
    np.testing.assert_allclose(np.array(told), frame_numbers(avatar, motion), atol=2e-3)


@needs_chromium
def test_it_says_a_recording_and_follows_the_microphone(page: Browser) -> None:
    page.run(f"""(() => {{
      const avatar = {ELEMENT}, show = avatar.renderer.draw.bind(avatar.renderer);
      window.events = [];
      for (const name of ['play', 'ended', 'listening', 'hushed'])
        avatar.addEventListener(name, () => events.push(name));
      avatar.renderer.draw = (row, view) => {{ window.row = [...row]; return show(row, view); }};
      avatar.speak('sound.wav');
    }})()""")
    page.wait("events.includes('play') && window.row", 20)
    assert page.run(f"{ELEMENT}.duration") == pytest.approx(SECONDS, abs=0.05)
    page.wait("events.includes('ended')", 20)
    before = page.run("events.splice(0), window.row[0]")
    page.run(f"{ELEMENT}.listen(), 0")
    page.wait("events.includes('listening')", 20)
    page.wait(f"Math.abs(window.row[0] - {before}) > 0.02", 20)
    page.run(f"{ELEMENT}.hush(), 0")
    page.wait("events.includes('hushed')", 5)
    assert page.run(f"{ELEMENT}.hearing.times.length") > 0


@needs_chromium
@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("speak('words.wav')", "no sound that the browser can read"),
        ("speak('nowhere.wav')", "could not be loaded (404)"),
        ("speak(new ArrayBuffer(0))", "no sound"),
    ],
)
def test_what_cannot_be_said_is_told_in_words(page: Browser, script: str, words: str) -> None:
    assert words in page.run(f"{ELEMENT}.{script}.then(() => 'nothing', (error) => error.message)")


@needs_chromium
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ("newer", "speaker.bin: the file has version 9, this page reads 1: export it again"),
        ("cut", "speaker.bin: the file is damaged"),
        ("other", "speaker.bin: this is no GTSP file"),
        ("parts", "speaker.bin: the file is damaged: parts of it are missing"),
        ("absent", "this folder has no speaker.bin"),
    ],
)
def test_a_speaker_that_cannot_be_read_is_told_on_the_page_and_the_person_lives_on(
    page: Browser, site: Path, spoil: str, words: str
) -> None:
    data = (site / "speaker.bin").read_bytes()
    header, arrays = read_sections(MAGIC, data, VERSION)
    (site / spoil).mkdir()
    if spoil != "absent":
        spoiled = {
            "newer": lambda: write_sections(MAGIC, {**header, "version": 9}, arrays),
            "cut": lambda: data[: len(data) // 2],
            "other": lambda: b"GTAV" + data[4:],
            "parts": lambda: write_sections(
                MAGIC, {k: v for k, v in header.items() if k != "net"}, {k: arrays[k] for k in list(arrays)[:3]}
            ),
        }[spoil]()
        (site / spoil / "speaker.bin").write_bytes(spoiled)
    told = page.run(f"""(async () => {{
      const avatar = {ELEMENT}, own = avatar.hearing, {{ Hearing }} = await import('/hearing.js'), events = [];
      const note = ({{ message }}) => events.push(message);
      avatar.addEventListener('error', note);
      avatar.hearing = new Hearing(new URL('/{spoil}/', location.href));
      const refused = [];
      for (const ask of [() => avatar.speak('sound.wav'), () => avatar.listen()])
        await ask().catch((error) => refused.push(error.message));
      avatar.hearing = own;
      avatar.removeEventListener('error', note);
      const shown = avatar.shadowRoot.querySelector('.words');
      return {{ refused, events, words: shown.textContent, hidden: shown.hidden, alive: !!avatar.renderer }};
    }})()""")
    assert len(told["refused"]) == 2 and told["events"] == told["refused"]
    assert all(words in one for one in told["refused"]), told
    assert words in told["words"] and told["hidden"] is False and told["alive"] is True


def test_the_file_says_whose_likeness_moves_and_by_whose_phones(character, avatar, model) -> None:
    header, arrays = read_sections(MAGIC, pack_speaker(avatar, model, asdict(character.identity)), VERSION)
    assert header["person"] == "Ada" and header["generated"] is True and "Carnegie Mellon" in header["phones_by"]
    assert header["lookahead_s"] <= 0.16
    assert arrays["readout"].shape[1] == len(model.face.rest)
    with pytest.raises(UserError, match="ears"):
        deaf = replace(model, features=replace(model.features, ears=False))
        pack_speaker(avatar, deaf, {})
