"""What a finished avatar says about the fit that made it."""

import json
from pathlib import Path

import pytest

from gtalk.avatar.base import Consent
from gtalk.config import from_mapping
from gtalk.fit.gaussian import model as gaussian_model
from gtalk.fit.run import fit, is_fitted
from gtalk.fit.trainer import CHECKPOINT_NAME
from tests.support.synthetic_dataset import make_synthetic_dataset

CONSENT = Consent("Ada", "I agree.")


def config_of(steps: int):
    trainer = {"size": 40, "steps": steps, "preview_every": 0, "checkpoint_every": 8}
    return from_mapping(gaussian_model.FitConfig, {"avatar": {"count": 300}, "trainer": trainer})


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> tuple[Path, Path]:
    """(dataset, avatar)."""
    root = tmp_path_factory.mktemp("run")
    make_synthetic_dataset(root / "ds", n_frames=24, size=40)
    list(fit(root / "ds", root / "me", "gaussian", config_of(8), CONSENT))
    return root / "ds", root / "me"


def test_only_the_same_fit_counts_as_done(folders: tuple[Path, Path], tmp_path: Path) -> None:
    dataset, avatar = folders
    assert is_fitted(dataset, avatar, "gaussian", config_of(8), CONSENT)
    assert not is_fitted(dataset, avatar, "gaussian", config_of(9), CONSENT)
    assert not is_fitted(dataset, avatar, "radiance", config_of(8), CONSENT)
    assert not is_fitted(dataset, avatar, "gaussian", config_of(8), Consent("Ada", "I agree to something else."))
    assert not is_fitted(dataset, tmp_path, "gaussian", config_of(8), CONSENT)
    other = make_synthetic_dataset(tmp_path / "other", n_frames=20, size=40).root
    assert not is_fitted(other, avatar, "gaussian", config_of(8), CONSENT)


def test_a_damaged_or_unfinished_one_does_not(folders: tuple[Path, Path]) -> None:
    dataset, avatar = folders
    (avatar / CHECKPOINT_NAME).touch()
    assert not is_fitted(dataset, avatar, "gaussian", config_of(8), CONSENT)
    (avatar / CHECKPOINT_NAME).unlink()
    whole = (avatar / "avatar.json").read_text()
    (avatar / "avatar.json").write_text(json.dumps({**json.loads(whole), "tensors_sha256": "0" * 64}))
    assert not is_fitted(dataset, avatar, "gaussian", config_of(8), CONSENT)
    (avatar / "avatar.json").write_text(whole)
    assert is_fitted(dataset, avatar, "gaussian", config_of(8), CONSENT)
