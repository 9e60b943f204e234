"""Whose expression is taken, and which pictures are refused. Faces are found by a stand-in that knows them."""

import cv2
import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.media.output.writer import write_video
from gtalk.prepare.expression_of import expression_of
from gtalk.prepare.landmarks.detectors import Face
from gtalk.rig.expression import named
from gtalk.rig.reading import QUIET, readable

HAPPY = np.clip(QUIET + 0.9 * readable(named("happy")) / np.linalg.norm(readable(named("happy"))), 0, 1)


class Known:
    """Finds the same faces in every image."""

    def __init__(self, *faces: tuple[float, np.ndarray]) -> None:
        self.n_seen, self._faces = 0, []
        for height, scores in faces:
            points = np.zeros((478, 3), np.float32)
            points[0, 1] = height
            self._faces.append(Face(points, scores.astype(np.float32)))

    def find(self, frame: np.ndarray) -> list[Face]:
        assert frame.ndim == 3 and frame.shape[2] == 3
        self.n_seen += 1
        return self._faces

    def reset(self) -> None: ...

    def close(self) -> None:
        raise AssertionError("it is not mine to close")


@pytest.fixture
def photo(tmp_path):
    cv2.imwrite(str(tmp_path / "photo.jpg"), np.full((60, 80, 3), 120, np.uint8))
    return tmp_path / "photo.jpg"


def test_the_expression_of_the_one_large_face(photo) -> None:
    found = expression_of(photo, 1.0, Known((200, HAPPY), (40, QUIET)))
    assert found.parts[0][0] == "happy" and found.expression.weights["mouthSmileLeft"] > 0.3


def test_of_a_clip_some_frames_are_looked_at(tmp_path) -> None:
    write_video(tmp_path / "clip.mp4", (np.full((48, 64, 3), 100, np.uint8) for _ in range(130)), 25.0)
    finder = Known((100, HAPPY))
    assert expression_of(tmp_path / "clip.mp4", finder=finder).parts[0][0] == "happy"
    assert 30 < finder.n_seen <= 97


def test_no_face_several_faces_a_quiet_one_and_no_picture_are_told(photo, tmp_path, monkeypatch) -> None:
    for finder, words in (
        (Known(), "expected a face; got none that is found"),
        (Known((200, HAPPY), (150, HAPPY)), "expected one face; got 2 faces"),
        (Known((200, QUIET)), "got a quiet one"),
    ):
        with pytest.raises(UserError, match=words):
            expression_of(photo, finder=finder)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match="a picture"):
        expression_of(tmp_path / "bad.png", finder=Known())
    with pytest.raises(UserError):
        expression_of(tmp_path / "gone.mp4", finder=Known())
    monkeypatch.setenv("GTALK_ASSETS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UserError, match="gtalk assets get face_landmarker"):
        expression_of(photo)
