"""C2PA: a signed dub says what it is, and a changed one is found out."""

from pathlib import Path

import pytest

from gtalk.dub.config import DubConfig
from gtalk.dub.render import check_dub, render_dub
from gtalk.errors import UserError
from gtalk.marks.provenance import read_manifest
from gtalk.media.audio import write_wav
from gtalk.types import AudioTrack
from tests.support.keys import write_keys
from tests.support.toys import speech_like, toy_character

pytest.importorskip("c2pa", reason="needs the optional package c2pa-python")


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> tuple[Path, Path]:
    return write_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "speech.wav"
    write_wav(path, AudioTrack(speech_like(0.4)))
    return path


def signed(sound: Path, output: Path, keys: tuple[Path, Path], **options) -> Path:
    config = DubConfig(sign_cert=keys[0], sign_key=keys[1], **options)
    check_dub(sound, output, config)
    return render_dub(toy_character(64), sound, output, config).output


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_a_signed_dub_names_its_maker_and_its_source_type(tmp_path, sound, keys, name):
    store = read_manifest(signed(sound, tmp_path / name, keys))
    manifest = store["manifests"][store["active_manifest"]]
    assert manifest["title"] == name and manifest["claim_generator_info"][0]["name"] == "gtalk"
    assertions = {a["label"]: a["data"] for a in manifest["assertions"]}
    action = next(data for label, data in assertions.items() if label.startswith("c2pa.actions"))["actions"][0]
    assert action["action"] == "c2pa.created" and action["digitalSourceType"].endswith("trainedAlgorithmicMedia")
    assert assertions["org.gtalk.avatar"]["avatar"] == "0123456789abcdef"
    codes = {status["code"] for status in store.get("validation_status", [])}
    assert codes <= {"signingCredential.untrusted"}, "whole, though no one vouches for the test's authority"
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_changed_image_is_found_out(tmp_path, sound, keys):
    path = signed(sound, tmp_path / "a.mp4", keys)
    content = bytearray(path.read_bytes())
    position = content.rindex(b"mdat") + 2000
    content[position] ^= 0xFF
    path.write_bytes(content)
    codes = {status["code"] for status in read_manifest(path).get("validation_status", [])}
    assert any("mismatch" in code for code in codes)


def test_what_cannot_be_signed_is_said_before_the_work(tmp_path, sound, keys):
    with pytest.raises(UserError, match="C2PA can sign"):
        signed(sound, tmp_path / "a.webm", keys)
    with pytest.raises(UserError, match="PEM"):
        signed(sound, tmp_path / "a.mp4", (keys[0], tmp_path / "none.pem"))
    (tmp_path / "bad.pem").write_text("-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n")
    with pytest.raises(UserError, match="certificate chain"):
        signed(sound, tmp_path / "b.mp4", (keys[0], tmp_path / "bad.pem"))
    assert [p.name for p in tmp_path.iterdir()] == ["bad.pem"]
    unsigned = render_dub(toy_character(32), sound, tmp_path / "c.mp4", DubConfig()).output
    with pytest.raises(UserError, match="manifest"):
        read_manifest(unsigned)
