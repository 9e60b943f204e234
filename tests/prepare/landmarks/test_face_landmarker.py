"""The Face Landmarker, where its model file is at hand (`gtalk assets get face_landmarker.task`)."""

from pathlib import Path

import numpy as np
import pytest

from demo_person.truth import load_truth
from gtalk.errors import UserError
from gtalk.media.video import read_video
from gtalk.prepare.landmarks.detect import detect_landmarks
from gtalk.prepare.records import load_landmarks, save_landmarks
from gtalk.reading.assets import find_asset

DEMO = Path(__file__).parents[3] / "data" / "demo"
FRAMES = range(0, 40, 4)
JAW_OPEN = 25
"""Place of `jawOpen` among the 52 scores of the model."""


def test_points_and_blendshapes_of_the_demo_person(tmp_path: Path) -> None:
    model = find_asset("face_landmarker.task")
    if model is None:
        pytest.skip("needs the optional file face_landmarker.task")
    truth = load_truth(DEMO)
    images = [p for i, p in enumerate(read_video(DEMO / "clip.mp4").read(0, FRAMES.stop)) if i in FRAMES]
    found = detect_landmarks(images, (512, 512), model=model, twice=False)
    assert found.source == "face_landmarker" and found.valid.all()
    error = np.linalg.norm(found.points_px - truth.points_px[list(FRAMES)], axis=-1)
    assert np.median(error) < 4.0  # of a face 210 px high
    assert found.arkit52 is not None and found.arkit52.shape == (len(FRAMES), 52)
    assert found.arkit52.min() >= 0 and found.arkit52.max() <= 1
    opened = truth.aperture[list(FRAMES)]
    assert np.corrcoef(found.arkit52[:, JAW_OPEN], opened)[0, 1] > 0.6
    save_landmarks(tmp_path / "landmarks.npz", found)
    kept = load_landmarks(tmp_path / "landmarks.npz")
    assert kept.arkit52 is not None and np.array_equal(kept.arkit52, found.arkit52)


def test_files_that_are_no_model_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing there"):
        detect_landmarks([], (8, 8), model=str(tmp_path / "none.task"))
    (tmp_path / "text.task").write_text("words")
    with pytest.raises(UserError, match="Face Landmarker bundle"):
        detect_landmarks([], (8, 8), model=tmp_path / "text.task")
