"""The page in a real Chromium, by mouse: what it offers with an avatar, and what it says where nothing can be done."""

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from starlette.responses import HTMLResponse
from starlette.routing import Route

from gtalk.files import write_json
from gtalk.hosting.host import Host
from gtalk.media.audio import write_wav
from gtalk.studio import library
from gtalk.studio.config import StudioConfig
from gtalk.studio.jobs import Jobs
from gtalk.studio.server import Studio
from gtalk.types import AudioTrack
from tests.studio.films import film
from tests.support.toys import speech_like
from tests.viewer.chromium import Browser, needs_chromium
from tools.check.studio import work
from tools.check.studio.stage import Shots, choose

STAND_IN = """
import pathlib, shutil, sys, time
words = sys.argv[2:]
output = pathlib.Path(words[words.index('-o') + 1]) if '-o' in words else pathlib.Path(words[1]) / 'eval.html'
time.sleep(0.6)
if words[0] == 'dub':
    shutil.copyfile(sys.argv[1], output)
elif words[0] == 'eval':
    output.write_text('<h1>Measures</h1>' + 'The lips follow. ' * 20)
elif 'web' in words:
    output.mkdir()
    (output / 'index.html').write_text('<canvas></canvas>Play the message')
else:
    output.write_bytes({'glb': b'glTF', 'ply': b'ply'}[output.suffix[1:]] + b' and so on')
"""
"""`gtalk` for whoever has no time: argv is a film, then what `gtalk` is given."""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """With one avatar, whose live page says hello."""
    root = tmp_path_factory.mktemp("page") / "studio"
    folder = root / "met"
    folder.mkdir(parents=True)
    write_json(folder / "avatar.json", {"consent": {"person": "Ada"}})
    write_json(folder / "motion.json", {})
    (folder / "weights").write_bytes(bytes(3_000_000))
    cv2.imwrite(str(folder / "preview.jpg"), np.zeros((8, 8, 3), np.uint8))
    film(root.parent / "film.mp4")
    live = Host(
        [Route("/", lambda _request: HTMLResponse("hello"))], "127.0.0.1", token=None, report=lambda _line: None
    )
    live.start(0)

    async def open_live(_name: str, _avatar: Path) -> dict[str, object]:
        return {"port": live.port, "token": ""}

    studio = Studio(root, StudioConfig(port=0))
    program = (sys.executable, "-c", STAND_IN, str(root.parent / "film.mp4"))
    studio.desk.jobs = Jobs(root / ".jobs", program=program)
    studio.desk.open_live = open_live
    studio.start()
    yield studio
    studio.stop()
    live.stop()


@pytest.fixture
def page(studio: Studio) -> Iterator[Browser]:
    browser = Browser()
    browser.open(studio.url)
    browser.wait("!!window.studio?.state")
    yield browser
    browser.close()


@needs_chromium
def test_files_are_dropped_and_films_messages_measures_and_exports_come_out(
    studio, page, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(library, "SIZES_KEPT_S", 0.0)
    speeches = [tmp_path / "hello.wav", tmp_path / "again.wav"]
    for speech in speeches:
        write_wav(speech, AudioTrack(speech_like(0.5)))
    shot, root = Shots(page, None), studio.desk.library.root
    told = work.films(page, speeches, tmp_path, shot, 60.0)
    assert told["refused"].startswith("There is no sound in letter.txt")
    assert told["queue"] == ["waiting 1 before it", "running Stop"]
    assert set(told["films"]) == {"hello.mp4", "again.mp4"} and all(one["sound"] for one in told["films"].values())
    page.run("document.querySelector('#notice button').click()")
    assert page.run("document.getElementById('notice').hidden"), "a message can be closed"
    told = work.message(page, speeches[0], tmp_path, page.tab, shot, 60.0)
    assert told["words"] == "Play the message" and told["first"] == ["index.html"]
    assert "The lips follow" in work.measures(page, page.tab, shot, 60.0)["words"]
    told = work.library(page, root, "met", tmp_path, shot, 60.0)
    assert told["renamed"] == "Someone Else's Name" and told["deleted"]
    assert {kind: one["whole"] for kind, one in told["exports"].items()} == {"glb": True, "ply": True}
    shown = told["size_shown"].removesuffix(" on disk")
    assert float(shown.removesuffix(" MB")) == pytest.approx(told["size_is"] / 1e6, abs=0.1) and shown in told["asked"]
    assert page.run("studio.state.jobs.length") == 0 and not (root / "met").exists()


@needs_chromium
def test_a_film_that_is_none_and_one_that_is_too_large_are_told_in_the_pages_language(studio, page, tmp_path) -> None:
    said = "document.getElementById('notice').textContent"
    page.run("(() => { const s = document.getElementById('language'); s.value = 'de';"
             " s.dispatchEvent(new Event('change')); })()")  # fmt: skip
    page.wait("document.documentElement.lang === 'de'")
    page.run("studio.open('record')")
    work.write(page, "#person", "Ada")
    work.press(page, "#agree")
    page.wait("!!studio.views.record.entry")
    (tmp_path / "letter.mp4").write_text("no film " * 1000)
    choose(page, "#film", tmp_path / "letter.mp4")
    page.wait(f"{said}.startsWith('Diese Datei ist kein lesbarer Film')")
    with open(tmp_path / "huge.mp4", "wb") as file:
        file.truncate(2 << 30)
    choose(page, "#film", tmp_path / "huge.mp4")
    page.wait(f"{said}.startsWith('Diese Datei hat 2.1 GB; ein Gigabyte ist das Höchste')")
    assert page.run("document.querySelector('#dialog code').textContent").startswith("gtalk train huge.mp4 -o ada")
    assert not list(studio.desk.library.root.glob("ada/clips/upload*"))
