import dataclasses
from pathlib import Path

import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.marks.scan import read_file
from gtalk.media.audio import write_wav
from gtalk.media.source import probe
from gtalk.media.video import read_video
from gtalk.motion.model.model import load_motion_model
from gtalk.scene.compose import Compositor, alike
from gtalk.scene.config import SceneConfig
from gtalk.scene.layout import Box, Stand, eyelines
from gtalk.scene.render import mixed, render_scene, stage
from gtalk.scene.script import Member, Scene, scene_of
from gtalk.types import AudioTrack, Frame, Motion
from tests.support.toys import motion_of, speech_like, toy_character


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("talk")
    (folder / "me").mkdir()
    write_wav(folder / "a.wav", AudioTrack(speech_like(0.6).astype(np.float32)))
    (folder / "s.yaml").write_text(
        "{version: 1, layout: room, size: [320, 160], background: '#203040', cast: "
        "[{name: ann, avatar: me, voice: a.wav}, {name: bob, avatar: me}]}"
    )
    return folder


def test_a_scene_is_rendered_whole_or_not_at_all(talk, small_person) -> None:
    model, told = load_motion_model(small_person), []
    character = dataclasses.replace(toy_character(160), motion_model=model)
    result = render_scene(talk / "s.yaml", talk / "a.mp4", load=lambda _: character, on_frames=told.append)
    info = probe(talk / "a.mp4")
    assert (info.width, info.height, result.n_frames) == (320, 160, 15) and info.audio_channels == 2
    assert len(told) == 15 and all(len(pair) == 2 for pair in told)
    assert "bob has no voice" in result.notes[0]
    assert read_file(talk / "a.mp4").comment.count("avatar=") == 2
    first = next(iter(read_video(talk / "a.mp4")))
    assert np.abs(first[2:20, 2:20].astype(int) - [0x20, 0x30, 0x40]).max() < 16
    with pytest.raises(UserError, match="a name that is free"):
        render_scene(talk / "s.yaml", talk / "a.mp4", load=lambda _: character)

    def fails(_: object) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        render_scene(talk / "s.yaml", talk / "b.mp4", SceneConfig(), load=lambda _: character, on_frames=fails)
    assert not [path for path in talk.iterdir() if "b.mp4" in path.name or path.name.startswith(".")]


def test_who_has_no_motion_model_cannot_be_in_a_scene(talk) -> None:
    with pytest.raises(UserError, match="motion model"):
        render_scene(talk / "s.yaml", talk / "c.mp4", load=lambda _: toy_character(160))


def test_a_scene_larger_than_memory_is_refused_before_its_first_picture(talk, small_person) -> None:
    character = dataclasses.replace(toy_character(160), motion_model=load_motion_model(small_person))
    plain = {"version": 1, "size": [8192, 4096], "cast": [{"name": n, "avatar": "me"} for n in ("ann", "bob")]}
    with pytest.raises(UserError, match="at most 40 megapixels"):
        stage(scene_of(plain, talk, live=True), SceneConfig(), lambda _: character, live=True)


def frame(rgb: tuple[int, int, int], alpha: int, size: tuple[int, int] = (40, 40)) -> Frame:
    motion: Motion = motion_of(np.zeros(1))
    image = np.full((size[1], size[0], 3), rgb, np.uint8)
    return Frame(0.0, image, np.full(size[::-1], alpha, np.uint8), motion, np.zeros(0, np.float32))


def test_who_is_in_front_covers_and_sides_fade_only_within_the_picture() -> None:
    scene = Scene((Member("a", Path()), Member("b", Path())), "room", (100, 40), "#000000")
    boxes = [Box(0, 0, 60, 40, (0, 100), cut=True), Box(40, 0, 60, 40, (0, 100), cut=True)]
    frames = [frame((200, 200, 200), 255, (60, 40)), frame((190, 200, 200), 255, (60, 40))]
    for order, whose in (([0, 1], 1), ([1, 0], 0)):
        picture = Compositor(scene, boxes, order, 25.0)(frames)
        middle = picture[20, 50].astype(int)
        assert np.abs(middle - frames[whose].rgb[0, 0]).max() <= 4
        assert picture[:, 0].min() > 150 and picture[:, -1].min() > 150
    assert Compositor(scene, boxes[:1], [0], 25.0)(frames[:1])[20, 59].max() < 30, "a cut shoulder ends gradually"


def test_light_is_brought_nearer_and_stays_within_limits() -> None:
    images = [np.full((40, 40, 3), v, np.uint8) for v in (100, 140)]
    gains = alike(images, [np.full((40, 40), 255, np.uint8)] * 2)
    assert gains[0][0] * 100 < gains[1][0] * 140 and gains[1][0] * 140 - gains[0][0] * 100 < 20
    assert (
        max(np.max(g) for g in alike([images[0], 2 * images[0] // 9], [np.full((40, 40), 255, np.uint8)] * 2)) <= 1.25
    )


def test_eyelines_meet() -> None:
    cast = (Member("a", Path()), Member("b", Path()))
    stands = {"a": Stand(np.array([300.0, 260.0]), 1000.0), "b": Stand(np.array([900.0, 200.0]), 1000.0)}
    seen = eyelines(cast, stands)
    assert seen["a"]["b"][0] == -seen["b"]["a"][0] == pytest.approx(np.rad2deg(np.arctan2(0.6, 0.75)), abs=1.0)
    assert seen["a"]["b"][1] == -seen["b"]["a"][1] > 0, "up to who sits higher"


def test_voices_are_mixed_from_where_their_owners_are(tmp_path) -> None:
    for name, length_s in (("a", 0.5), ("b", 1.3)):
        write_wav(tmp_path / f"{name}.wav", AudioTrack((0.2 * np.ones(round(length_s * 16000))).astype(np.float32)))
    whole = np.concatenate(list(mixed([(tmp_path / "a.wav", 0.0), (tmp_path / "b.wav", 1.0)])))
    assert whole.shape == (62_400, 2)
    assert whole[48_000:60_000, 1].mean() > 2 * whole[48_000:60_000, 0].mean() > 0
