"""What the page reads holds the avatar's own numbers, and nothing else is taken for it."""

from dataclasses import asdict

import cv2
import numpy as np
import pytest

import gtalk
from gtalk import cli
from gtalk.avatar.expressing.openings import onset
from gtalk.avatar.gaussian import PLACES
from gtalk.errors import UserError
from gtalk.export.web.face import expressed
from gtalk.export.web.message import frame_numbers, pack_message, unpack_message
from gtalk.export.web.pack import VERSION, gaussians_of, pack_avatar, unpack_avatar
from gtalk.export.web.sections import read_sections, write_sections
from gtalk.geometry.rotation import exp_so3
from gtalk.media.audio import read_audio, write_wav
from gtalk.rig.expression import parse
from gtalk.rig.shapes import SHAPES
from gtalk.talk import Identity
from gtalk.types import AudioTrack
from tests.avatar.expressing.speaking_face import speaking_face
from tests.avatar.small_gaussian import small_gaussian
from tests.support.toys import speech_like

IDENTITY = asdict(Identity("0123456789abcdef", "Ada", "0" * 64))


def test_the_gaussians_of_a_frame_are_the_talkers_own() -> None:
    avatar, motion = small_gaussian()
    header, unpacked = unpack_avatar(pack_avatar(avatar, IDENTITY))
    _, numbers, _ = unpack_message(pack_message(avatar, motion, IDENTITY))
    assert header["person"] == "Ada" and header["generated"] is True
    for index in (0, len(motion) - 1):
        now = avatar.instants(motion)[index]
        own = avatar.gaussians(now).numpy()[:, :15]
        ours = gaussians_of(unpacked, header, numbers[index, : header["codes"]])
        span = np.ptp(avatar.learned["base"].numpy()[:, :15], axis=0)
        assert (np.abs(ours - own).max(0) < 2e-3 * span).all()


@pytest.mark.slow
@pytest.mark.parametrize("words", ["happy:0.8", "jawOpen:0.4+surprised"])
def test_the_gaussians_of_an_expression_are_the_talkers_own(words: str) -> None:
    avatar, motion = speaking_face()
    header, unpacked = unpack_avatar(pack_avatar(avatar, IDENTITY))
    weights = parse(words).vector()[None].astype(np.float32)
    now = avatar.instants(motion[8].replace(channels={"expression": weights}))[0]
    asked, face, size = now.asked, avatar.expression, avatar.basis.size
    assert asked is not None
    own = face.gaussians(asked, now.code[:-PLACES], now.T_camera_head).numpy()[:, :15]
    own = own[: len(face.groups.order)]
    mean, spread = face.code_norm
    codes = np.tile(now.code[:-PLACES].numpy(), (4, 1))
    codes[:2, size - 4 : size - 2] = (asked.eyes - mean[-4:-2]) / spread[-4:-2]
    codes[2, :size] = (asked.code - mean) / spread
    change = now.code[:size].numpy() - (asked.code - mean) / spread
    ours = expressed(unpacked, header, codes, asked, change, onset(asked.weights))
    off_m = np.linalg.norm(ours[:, :3] - own[:, :3], axis=1)
    plain = gaussians_of(unpacked, header, avatar.instants(motion[8])[0].code.numpy())[: len(own)]
    moved_m = np.linalg.norm(plain[:, :3] - own[:, :3], axis=1)
    assert (
        np.median(off_m) < 4e-4 and np.percentile(off_m, 95) < 1.2e-3
    )  # what moves a Gaussian little is left out there
    assert moved_m.max() > 4e-3
    assert np.percentile(np.abs(ours - own)[:, 11:14], 95) < 0.03


def test_a_message_holds_the_weights_of_what_is_expressed() -> None:
    avatar, motion = small_gaussian()
    weights = np.zeros((len(motion), len(SHAPES)), np.float32)
    weights[:, SHAPES.index("mouthSmileLeft")] = np.linspace(0.0, 0.9, len(motion))
    moved = motion.replace(channels={**motion.channels, "expression": weights})
    _, rows, _ = unpack_message(pack_message(avatar, moved, IDENTITY))
    np.testing.assert_allclose(rows[:, -len(SHAPES) :], weights, atol=1e-4)
    np.testing.assert_allclose(rows[:, : -len(SHAPES)], frame_numbers(avatar, motion), atol=1e-3)


def test_a_messages_numbers_say_where_head_and_torso_are() -> None:
    avatar, motion = small_gaussian()
    _, numbers, sound = unpack_message(pack_message(avatar, motion, IDENTITY))
    assert sound == b"" and len(numbers) == len(motion)
    numbers = numbers[:, : -len(SHAPES)]
    np.testing.assert_allclose(numbers, frame_numbers(avatar, motion), atol=1e-3)
    head = avatar.camera.T_camera_world @ motion.head_pose
    place = numbers[:, -13:]
    np.testing.assert_allclose(exp_so3(place[:, :3].astype(float)), motion.head_pose[:, :3, :3], atol=1e-3)
    np.testing.assert_allclose(place[:, 3:6], head[:, :3, 3], atol=1e-4)


def test_a_second_of_speech_takes_less_than_five_kilobytes_beside_its_sound(tmp_path) -> None:
    avatar, motion = small_gaussian()
    second = gtalk.Motion.concatenate([motion] * 10)[:250]
    data = pack_message(avatar, second, IDENTITY)
    assert len(data) / 10 < 5000
    write_wav(tmp_path / "s.wav", AudioTrack(speech_like(2.0)))
    header, _, sound = unpack_message(pack_message(avatar, second, IDENTITY, tmp_path / "s.wav", "WEBVTT"))
    assert header["captions"] == "WEBVTT" and 2000 < len(sound) < 16_000
    (tmp_path / "s.webm").write_bytes(sound)
    assert abs(len(read_audio(tmp_path / "s.webm").samples) / 16_000 - 2.0) < 0.05


@pytest.mark.parametrize("damage", ["other", "short", "version", "header", "section"])
def test_what_is_no_such_file_is_told(damage: str) -> None:
    avatar, _ = small_gaussian()
    data = pack_avatar(avatar, IDENTITY)
    bad = {
        "other": b"RIFF" + data[4:],
        "short": data[: len(data) // 2],
        "version": write_sections(b"GTAV", {"version": VERSION + 1}, {}),
        "header": data[:8] + b"{" * 40 + data[48:],
        "section": write_sections(b"GTAV", {"version": VERSION}, {"a": np.zeros(3, "<f4")}).replace(b"<f4", b"|O8"),
    }[damage]
    with pytest.raises(UserError, match="Export it again"):
        read_sections(b"GTAV", bad, VERSION)


def exported(*arguments) -> int:
    try:
        return cli.main(["export", *map(str, arguments)])
    except SystemExit as end:
        return int(end.code or 0)


def test_a_page_is_written_whole_and_replaces_only_a_page(small_person, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("gtalk.export.web.site.Leaving", lambda identity: lambda rgb: np.full_like(rgb, 7))
    write_wav(tmp_path / "s.wav", AudioTrack(speech_like(1.0)))
    (tmp_path / "s.vtt").write_text("WEBVTT\n\n00:00.000 --> 00:01.000\nHello")
    asked = (small_person, "--format", "web", "-o", tmp_path / "site", "--audio", tmp_path / "s.wav")
    assert exported(*asked, "--subtitles", tmp_path / "s.vtt") == 0
    names = {path.name for path in (tmp_path / "site").iterdir()}
    assert {
        "index.html",
        "gtalk-avatar.js",
        "avatar.bin",
        "plate.jpg",
        "poster.jpg",
        "idle.gtm",
        "message.gtm",
    } <= names
    assert cv2.imread(str(tmp_path / "site" / "poster.jpg")).max() == 7, "the poster is marked as it leaves"
    header, numbers, sound = unpack_message((tmp_path / "site" / "message.gtm").read_bytes())
    assert len(numbers) == 25 and len(sound) > 1000 and "Hello" in header["captions"]
    assert exported(*asked) == 2
    assert exported(*asked, "--overwrite") == 0
    (tmp_path / "site" / "thesis.txt").write_text("years")
    assert exported(*asked, "--overwrite") == 2
    assert (tmp_path / "site" / "thesis.txt").is_file()
    assert exported(small_person, "--format", "message", "-o", tmp_path / "a.gtm") == 2
    assert "--audio" in capsys.readouterr().err
