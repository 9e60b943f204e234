import asyncio
import json
import time

import numpy as np
import pytest
from websockets.asyncio.client import connect

from gtalk.errors import UserError
from gtalk.marks.leaving import Leaving
from gtalk.scene.live import Troupe, at_height, serve_scene, turns_of_text, voices_of_texts
from gtalk.scene.script import Member, Scene, read_scene
from gtalk.viewer.config import ViewConfig
from gtalk.viewer.server import LiveServer
from tests.agents.scripted import ToyVoice
from tests.scene.test_ensemble import ensemble_of

NAMES = ("Ann", "Bob")


@pytest.mark.parametrize(
    ("text", "after", "turns"),
    [
        ("Ann: Hello. Bob: Hi, it is 9:30!", "", [("Ann", "Hello."), ("Bob", "Hi, it is 9:30!")]),
        ("bob: [smile .5] Yes.\nANN: No.", "", [("Bob", "Yes."), ("Ann", "No.")]),
        ("Hello there.", "", [("Ann", "Hello there.")]),
        ("And you?", "Ann", [("Bob", "And you?")]),
        ("Well. Ann: Bobby: said so.", "Bob", [("Ann", "Well."), ("Ann", "Bobby: said so.")]),
        ("Ann: ... Bob:", "", []),
    ],
)
def test_a_text_is_divided_among_the_cast(text, after, turns) -> None:
    assert turns_of_text(text, NAMES, after) == turns


def test_names_with_signs_are_names() -> None:
    assert turns_of_text("A+ (1): yes. B: no.", ("A+ (1)", "B")) == [("A+ (1)", "yes."), ("B", "no.")]


def test_each_has_a_voice_of_its_own_or_the_one_that_is_said(tmp_path) -> None:
    cast = (Member("a", tmp_path), Member("b", tmp_path), Member("c", tmp_path, says_with="de"))
    voices = voices_of_texts(cast)
    assert len({str(voice) for voice in voices.values()}) == 3 and "'de'" in str(voices["c"])
    with pytest.raises(UserError):
        voices_of_texts((Member("a", tmp_path, says_with="gone.onnx"),))


def test_a_scene_is_made_as_high_as_asked() -> None:
    assert at_height(Scene((), size=(1280, 720)), 360).size == (640, 360)


def test_live_nobody_needs_a_voice_but_a_speech_has_no_owner(tmp_path) -> None:
    (tmp_path / "me").mkdir()
    (tmp_path / "s.yaml").write_text("{version: 1, cast: [{name: a, avatar: me}, {name: b, avatar: me}]}")
    assert len(read_scene(tmp_path / "s.yaml", live=True).cast) == 2
    with pytest.raises(UserError, match="a voice for somebody"):
        read_scene(tmp_path / "s.yaml")
    (tmp_path / "a.wav").write_bytes(b"")
    with pytest.raises(UserError, match="whose speech"):
        serve_scene(tmp_path / "s.yaml", ViewConfig(play=tmp_path / "a.wav"))


def until(done, seconds: float = 100.0) -> None:
    end_s = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end_s, "it never came"
        time.sleep(0.01)


def test_turns_of_texts_and_of_programs_on_one_page(small_person, tmp_path) -> None:
    ensemble = ensemble_of(small_person, tmp_path, NAMES)
    identity = ensemble.players[0].character.identity
    server = LiveServer(lambda: ensemble, ViewConfig(port=0, size=120), lambda _line: None, identity, Leaving(identity))
    spoke: list[str] = []
    shown: list[str] = []

    def join(room):
        troupe = Troupe(room.session, {name: ToyVoice() for name in NAMES}, shown.append)
        room.media.on_text = troupe.say
        given = room.session._talk.give_word

        def give(name: str) -> None:
            if name and spoke[-1:] != [name]:
                spoke.append(name)
            given(name)

        room.session._talk.give_word = give
        return troupe.close

    server.rooms.on_open = join
    server.start()

    async def visit() -> None:
        address = server.url.replace("http", "ws")
        async with connect(address + "media", origin=server.url[:-1]) as page, connect(address + "push") as agent:
            hello = json.loads(await page.recv())["hello"]
            assert hello["cast"] == list(NAMES)
            await page.send(json.dumps({"do": "say", "text": "Ann: One two. Bob: Three four."}))
            await asyncio.to_thread(until, lambda: spoke == ["Ann", "Bob"])
            pcm = (3000 * np.sin(np.arange(8000) / 10)).astype("<i2").tobytes()
            for who in ("Ann", "Bob"):
                await agent.send(json.dumps({"do": "begin", "as": who}))
                await agent.send(pcm)
                await agent.send(json.dumps({"do": "end"}))
            await asyncio.to_thread(until, lambda: spoke == ["Ann", "Bob", "Ann", "Bob"])
            await agent.send(json.dumps({"do": "begin", "as": "Cy"}))
            with pytest.raises(Exception, match="Ann, Bob"):
                while True:
                    await asyncio.wait_for(agent.recv(), 60)

    try:
        asyncio.run(visit())
    finally:
        server.stop()
    assert not shown
