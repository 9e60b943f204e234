"""Avatar folders as performers: with and without a motion model, controls, devices."""

from pathlib import Path

import pytest
import torch

from gtalk.avatar.base import Consent
from gtalk.avatar.bundle import save_avatar
from gtalk.errors import UserError
from gtalk.talk import Performer, load_performer, load_talker
from tests.avatar.small_gaussian import small_gaussian


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """An avatar that has not learned to speak."""
    path = tmp_path_factory.mktemp("load") / "me"
    save_avatar(path, small_gaussian()[0], provenance={}, consent=Consent("Ada", "I agree."))
    return path


@pytest.fixture(scope="module")
def performer(folder: Path) -> Performer:
    return load_performer(folder)


def test_an_avatar_without_a_motion_model_renders_motion_only(performer: Performer, folder: Path) -> None:
    motion = small_gaussian()[1]
    assert performer.motion_model is None and len(performer.identity.avatar_id) > 8
    assert len(list(load_talker(folder, size=(32, 32)).render_motion(motion[:3]))) == 3
    with pytest.raises(UserError, match="motion train"):
        performer.talker().session()


def test_controls_need_a_motion_model_and_their_defaults_none(performer: Performer) -> None:
    assert performer.edits() == [] and performer.edits(3, mouth=1.0) == []
    with pytest.raises(UserError, match="motion train"):
        performer.edits(mouth=0.5)


def test_a_device_that_is_not_there_is_named(performer: Performer) -> None:
    assert torch.equal(performer.to("cpu").avatar.tensors()["base"], performer.avatar.tensors()["base"])
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="CUDA"):
            performer.to("cuda")
