"""A fit's size and the number of its Gaussians follow from the clip."""

from __future__ import annotations

import pytest

from gtalk.config import from_mapping
from gtalk.dataset.format import Dataset
from gtalk.fit.gaussian.model import FitConfig
from gtalk.fit.sizes import sized_for, smaller_than
from tests.support.synthetic_dataset import make_synthetic_dataset

PRESET = from_mapping(FitConfig, {"avatar": {"count": 18000}, "trainer": {"size": 512}})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    return make_synthetic_dataset(tmp_path_factory.mktemp("ds"), n_frames=12, size=64)


def with_face(dataset: Dataset, share: float) -> Dataset:
    """The dataset with a report of a face that fills a share of the image's height."""
    dataset.manifest.setdefault("stages", {})["report"] = {
        "facts": {"image": {"face_height_px": share * dataset.size[1]}}
    }
    return dataset


def test_a_usual_face_gets_the_presets_gaussians(dataset: Dataset) -> None:
    config, told = sized_for(PRESET, with_face(dataset, 0.5))
    assert config == PRESET
    assert "64 pixels" in told and "18000" in told  # never above the dataset's own


def test_a_dataset_that_is_too_small_is_told(dataset: Dataset) -> None:
    told = sized_for(PRESET, with_face(dataset, 0.5), size=768)[1]
    assert "64 pixels high, not 768" in told and "gtalk prepare CLIP --size 768" in told
    assert smaller_than(64, dataset) == smaller_than(None, dataset) == ""


def test_a_large_face_gets_more_of_them(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dataset, "size", (1024, 1024))
    large, told = sized_for(PRESET, with_face(dataset, 0.5), size=1024)
    assert large.trainer.size == 1024
    assert large.avatar.count == 100 * round(180 * (512 / 300) ** 1.5)
    assert "1024 pixels high, a face of 512" in told
    assert sized_for(PRESET, with_face(dataset, 3.0), size=1024)[0].avatar.count == 4 * 18000


def test_what_is_not_known_changes_nothing(dataset: Dataset) -> None:
    dataset.manifest["stages"].pop("report", None)
    assert sized_for(PRESET, dataset)[0] == PRESET
