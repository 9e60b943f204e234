"""Clips as people send them, through all of `prepare`. `tests/support/hard_clips.py` prints the whole table."""

from pathlib import Path

import numpy as np
import pytest

from gtalk.dataset.validate import find_problems
from gtalk.media.timeline import scan
from tests.support.bad_clips import SOURCES, write
from tests.support.hard_clips import best_shift, landmark_error, run, sound_lag_s, true_points

CHOSEN = ("vfr.mkv", "hand.mp4", "60.mkv", "portrait.mp4", "two_faces.mp4", "black.mp4")
RECIPES = {recipe.name: recipe for recipe in SOURCES}


@pytest.mark.parametrize("name", CHOSEN)
def test_the_dataset_is_right_and_the_verdict_says_what_is_wrong(name: str, tmp_path: Path) -> None:
    recipe = RECIPES[name]
    outcome = run(recipe, tmp_path)
    assert outcome.dataset is not None
    assert find_problems(outcome.dataset.root) == []
    assert recipe.says in outcome.words()
    assert "doubling" not in outcome.words()
    assert len(outcome.dataset.segments) >= recipe.shots
    true, whole = true_points(recipe, outcome.dataset)
    assert landmark_error(outcome.dataset, true, whole) < 0.02  # of the face's height
    assert abs(best_shift(outcome.dataset, true, whole)) <= 1
    assert abs(sound_lag_s(recipe, outcome.dataset) or 0.0) < 0.02


@pytest.mark.parametrize("name", ["25_as_30.mp4", "25_as_30_lossy.mp4"])
def test_every_sixth_image_doubled_is_found_in_a_real_encoding(name: str, tmp_path: Path) -> None:
    timeline = scan(write(tmp_path, RECIPES[name]))
    assert abs(timeline.true_fps - 25) < 0.01
    shown = [RECIPES[name].images[i].demo_frame for i in timeline.index[timeline.frames_at(25.0)]]
    assert np.mean(np.diff(shown) == 1) > 0.97  # one after the other
    assert np.abs(np.array(shown) - np.arange(len(shown))).max() <= 1


@pytest.mark.parametrize("name", ["compressed.mp4", "23.976.mp4", "50.mp4"])
def test_images_that_are_not_doubled_are_left_alone(name: str, tmp_path: Path) -> None:
    timeline = scan(write(tmp_path, RECIPES[name]))
    assert timeline.notes == () and timeline.true_fps == timeline.stored_fps
