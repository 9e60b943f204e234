"""Avatar folders as characters: with and without a motion model, controls, devices."""

from pathlib import Path

import pytest
import torch

from gtalk.avatar.base import Consent
from gtalk.avatar.bundle import save_avatar
from gtalk.errors import UserError
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
