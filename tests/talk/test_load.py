"""Avatar folders as characters: with and without a motion model, controls, devices."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from gtalk.avatar.base import Consent
from gtalk.avatar.bundle import save_avatar
from gtalk.errors import UserError
from gtalk.files import sha256_of_file
from gtalk.motion.edits.controls import Controls
from gtalk.talk import Character, View, load_character
from tests.avatar.small_gaussian import small_gaussian


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """An avatar that has not learned to speak."""
    path = tmp_path_factory.mktemp("load") / "me"
    save_avatar(path, small_gaussian()[0], provenance={}, consent=Consent("Ada", "I agree."))
    return path


@pytest.fixture(scope="module")
def character(folder: Path) -> Character:
    return load_character(folder)


def test_an_avatar_without_a_motion_model_renders_motion_only(character: Character, folder: Path) -> None:
    motion = small_gaussian()[1]
    assert character.motion_model is None and len(character.identity.avatar_id) > 8
    assert len(list(load_character(folder).talker(view=View(size=(32, 32))).render_motion(motion[:3]))) == 3
    with pytest.raises(UserError, match="motion train"):
        character.talker().session()


def test_controls_need_a_motion_model_and_their_defaults_none(character: Character) -> None:
    assert character.talker(controls=Controls(mouth=1.0)).edits == ()
    with pytest.raises(UserError, match="motion train"):
        character.talker(controls=Controls(mouth=0.5))


def test_a_device_that_is_not_there_is_named(character: Character) -> None:
    assert torch.equal(character.to("cpu").avatar.tensors()["base"], character.avatar.tensors()["base"])
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="CUDA"):
            character.to("cuda")


def test_a_consent_that_is_not_the_weights_own_is_told(folder: Path, tmp_path: Path, caplog) -> None:
    def loaded(**changes: object) -> tuple[Character, str]:
        caplog.clear()
        shutil.copytree(folder, tmp_path / "me", dirs_exist_ok=True)
        facts = json.loads((folder / "avatar.json").read_text())
        facts["consent"] |= changes
        (tmp_path / "me" / "avatar.json").write_text(json.dumps(facts))
        return load_character(tmp_path / "me"), caplog.text

    own, told = loaded()
    assert told == "" and own.identity.watermark
    for changes in ({"person": "Eve"}, {"statement": "I, Eve, agree."}, {"watermark": False}):
        other, told = loaded(**changes)
        assert "not that of its weights" in told
        assert other.identity.watermark, "a choice that is not this avatar's does not count"
    assert "nobody's consent" in loaded(statement=" ")[1]
    tensors = load_file(folder / "avatar.safetensors")
    shutil.copytree(folder, tmp_path / "old")
    save_file(tensors, tmp_path / "old" / "avatar.safetensors")
    facts = json.loads((folder / "avatar.json").read_text())
    facts["tensors_sha256"] = sha256_of_file(tmp_path / "old" / "avatar.safetensors")
    (tmp_path / "old" / "avatar.json").write_text(json.dumps(facts))
    caplog.clear()
    load_character(tmp_path / "old")
    assert "do not say with whose consent" in caplog.text


def test_no_mark_is_put_where_the_person_chose_so(tmp_path: Path, caplog) -> None:
    consent = Consent("Ada", "I am Ada, agree, and want no watermark.", watermark=False)
    save_avatar(tmp_path / "me", small_gaussian()[0], provenance={}, consent=consent)
    assert not load_character(tmp_path / "me").identity.watermark and caplog.text == ""
