"""Expression error: which scores count where, and what is read from a dataset."""

from pathlib import Path

import numpy as np
import pytest

from gtalk.eval.emotion import scores
from gtalk.eval.emotion.scores import LOWER, UPPER, dataset_scores, error_of, expression_error
from tests.support.synthetic_dataset import make_synthetic_dataset


def test_halves_are_apart_and_neutral_counts_nowhere():
    assert not set(UPPER) & set(LOWER) and set(UPPER) | set(LOWER) == set(range(1, 52))
    real = np.zeros((4, 52))
    made = real.copy()
    made[:, 0] = 1.0
    assert expression_error(made, real) == (0.0, 0.0)
    made[:, 9], made[:, 25] = 0.5, 0.2  # eyeBlinkLeft, jawOpen
    assert expression_error(made, real) == pytest.approx((0.25, 0.04))
    made[2:] = real[2:]
    assert expression_error(made, real) == pytest.approx((0.125, 0.02))
    assert expression_error(real[:0], real[:0]) == (None, None)


def test_only_frames_with_both_faces_count():
    ones, zeros = np.ones(52, np.float32), np.zeros(52, np.float32)
    assert error_of({1: ones, 2: zeros}, {2: zeros, 3: ones}) == (0.0, 0.0)
    assert error_of({1: ones}, {2: ones}) == (None, None)


def test_scores_come_from_landmarks_or_motion_or_not_at_all(tmp_path):
    dataset = make_synthetic_dataset(tmp_path / "ds", n_frames=6, size=32)
    assert dataset_scores(dataset) is None
    scores = np.random.default_rng(0).uniform(size=(6, 52)).astype(np.float32)
    with np.load(tmp_path / "ds/landmarks.npz") as file:
        arrays = dict(file)
    np.savez(tmp_path / "ds/landmarks.npz", **arrays, arkit52=scores)
    np.testing.assert_allclose(dataset_scores(dataset), scores)
    dataset.motion.channels["arkit52"] = scores[::-1].copy()
    np.testing.assert_allclose(dataset_scores(dataset), scores[::-1])
    dataset.motion.channels["arkit52"] = scores[:, :51]
    assert dataset_scores(dataset) is None, "another detector's scores are no measure"


def test_without_the_model_file_there_is_no_reader(monkeypatch, tmp_path):
    monkeypatch.setenv("GTALK_ASSETS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert scores.open_reader() is None


def test_the_largest_face_is_read_and_none_is_none(monkeypatch):
    from gtalk.prepare.landmarks.detectors import Face

    small, large = np.zeros((478, 3), np.float32), np.zeros((478, 3), np.float32)
    small[0, 1], large[0, 1] = 10.0, 90.0

    class Finder:
        def __init__(self, path):
            self.faces = [Face(small, np.zeros(52)), Face(large, np.ones(52)), Face(large * 2)]

        def find(self, image):
            return self.faces if image.any() else []

        def close(self):
            self.faces = None

    monkeypatch.setattr(scores, "FaceLandmarkerFinder", Finder)
    monkeypatch.setattr(scores, "find_asset", Path)
    reader = scores.open_reader()
    assert isinstance(reader, scores.ScoreReader)
    assert reader.read(np.zeros((4, 4, 3), np.uint8)) is None
    np.testing.assert_array_equal(reader.read(np.ones((4, 4, 3), np.uint8)), np.ones(52))
    reader.close()
    monkeypatch.setattr(scores, "FaceLandmarkerFinder", lambda path: (_ for _ in ()).throw(ImportError()))
    assert scores.open_reader() is None
