from pathlib import Path

import numpy as np
import pytest

from gtalk.media.timeline import Timeline, find_cadence, scan
from tests.media.clips import Recipe, write_clip


def stored(true_fps: float, stored_fps: float, count: int, noise: float = 0.02) -> tuple[np.ndarray, np.ndarray]:
    """(times, differences) of images at one rate stored at a higher one."""
    rng = np.random.default_rng(0)
    times = np.arange(count) / stored_fps
    shown = np.floor(times * true_fps + 0.5)
    moved = np.concatenate([[1.0], np.diff(shown)])
    return times, np.where(moved > 0, 0.05 * (1 + noise * rng.standard_normal(count)), 1e-5)


@pytest.mark.parametrize(
    ("true_fps", "stored_fps"), [(25, 30), (24, 30), (23.976, 29.97), (25, 60), (24, 25), (15, 30)]
)
def test_doubled_images_get_their_true_times(true_fps: float, stored_fps: float) -> None:
    times, differences = stored(true_fps, stored_fps, 240)
    found = find_cadence(times, differences)
    assert found is not None
    index, true, rate = found
    assert abs(rate / true_fps - 1) < 2e-3
    expected = np.arange(len(true)) / true_fps
    assert np.abs((true - true.mean()) - (expected - expected.mean())).max() < 0.012
    assert len(index) == len(true)


@pytest.mark.parametrize(
    ("true_fps", "stored_fps", "count"), [(25, 30, 240), (24, 30, 240), (24, 25, 900), (25, 60, 480)]
)
def test_copies_that_compression_has_blurred_are_told_by_their_rhythm(
    true_fps: float, stored_fps: float, count: int
) -> None:
    times, differences = stored(true_fps, stored_fps, count)
    rng = np.random.default_rng(5)
    faint = np.where(differences < 1e-3, 0.4, 1.0) * 0.05 * rng.lognormal(0, 0.3, count)
    found = find_cadence(times, faint)
    assert found is not None
    index, _, rate = found
    assert abs(rate / true_fps - 1) < 2e-3
    assert np.isin(np.flatnonzero(differences < 1e-3)[1:], index).mean() < 0.1  # some lie between two
    assert find_cadence(times, rng.permutation(faint)) is None


def test_other_rhythms_of_encoders_are_no_copies() -> None:
    """Every third or fourth image coded better, every fifth change larger (30 images a second made 25)."""
    rng = np.random.default_rng(6)
    number, times = np.arange(900), np.arange(900) / 25
    for rhythm in (number % 3 == 0, number % 4 == 0, number % 12 == 0):
        assert find_cadence(times, 0.05 * np.where(rhythm, 0.6, 1.0) * rng.lognormal(0, 0.3, 900)) is None
    assert find_cadence(times, 0.05 * np.where(number % 5 == 0, 1.5, 1.0) * rng.lognormal(0, 0.3, 900)) is None


def test_images_without_a_cadence_are_left_alone() -> None:
    times, differences = stored(25, 25, 300)
    assert find_cadence(times, differences) is None
    rng = np.random.default_rng(1)
    differences[rng.choice(300, 60, replace=False)] = 1e-6  # a stuttering capture
    assert find_cadence(times, differences) is None
    still = stored(25, 25, 48)[1]
    still[[20, 33]] = 1e-6  # a person who holds still for a moment, twice
    assert find_cadence(times[:48], still) is None
    skipped = stored(25, 25, 45)[1]
    skipped[[20, 24, 32, 40, 43]] = 1e-6  # images that strong compression leaves as they were
    assert find_cadence(times[:45], skipped) is None
    frozen = differences.copy()
    frozen[100:200] = 0.0
    assert find_cadence(times, frozen) is None


def test_a_doubled_file_is_retimed_and_moves_evenly(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "doubled.mp4", Recipe(fps=30, shown_fps=25, seconds=4, flash_s=9))
    timeline = scan(path)
    assert abs(timeline.true_fps - 25) < 0.05
    assert abs(timeline.stored_fps - 30) < 0.05
    assert any("doubl" in note for note in timeline.notes)
    chosen = timeline.frames_at(25.0)
    assert np.array_equal(np.unique(np.diff(chosen)), [1])  # every distinct image once
    assert scan(path, retime=False).true_fps == pytest.approx(30, abs=0.05)


def test_nearest_image_in_time() -> None:
    timeline = Timeline(np.arange(60) / 50, np.arange(60), 1.2, 50.0, 50.0)
    assert np.array_equal(timeline.frames_at(25.0), np.arange(0, 60, 2))
    slow = Timeline(np.arange(12) / 10, np.arange(12), 1.2, 10.0, 10.0)
    chosen = slow.frames_at(25.0)
    assert len(chosen) == 30
    assert np.abs(slow.times_s[chosen] - np.arange(30) / 25).max() <= 0.08
    single = Timeline(np.zeros(1), np.zeros(1, np.int64), 0.04, 25.0, 25.0)
    assert np.array_equal(single.frames_at(25.0), [0])
