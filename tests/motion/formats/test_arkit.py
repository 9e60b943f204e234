import csv

import numpy as np
import pytest

from gtalk.basis import mouth_aperture
from gtalk.errors import UserError
from gtalk.geometry.pose import pose_vectors
from gtalk.motion.formats.arkit import (
    NAMES,
    arkit_weights,
    motion_of_arkit,
    read_arkit_csv,
    rest_landmarks,
    write_arkit_csv,
)
from gtalk.rig.shapes import SHAPES
from tests.motion.talking import motion_of_openness

OPENNESS = np.clip(np.sin(np.arange(150) / 7.0), 0, 1)


def weights(**values: float) -> np.ndarray:
    out = np.zeros((40, 52))
    for name, value in values.items():
        out[:, NAMES.index(name)] = value * np.linspace(0, 1, 40)
    return out


def test_there_are_the_52_of_arkit() -> None:
    assert len(NAMES) == len(set(NAMES)) == 52
    assert NAMES[0] == "EyeBlinkLeft" and NAMES[17] == "JawOpen" and NAMES[-1] == "TongueOut"


def test_an_opening_jaw_is_mostly_jaw_open_and_comes_back(model) -> None:
    motion = motion_of_openness(OPENNESS)
    rest = rest_landmarks(model)
    found = arkit_weights(motion, rest)
    assert found.min() >= 0 and found.max() <= 1
    assert np.corrcoef(found[:, NAMES.index("JawOpen")], OPENNESS)[0, 1] > 0.98
    back = motion_of_arkit(found, np.zeros((150, 3)), 25.0, model)
    truth, got = mouth_aperture(motion.landmarks), mouth_aperture(back.landmarks)
    assert np.corrcoef(truth, got)[0, 1] > 0.98 and got.std() == pytest.approx(truth.std(), rel=0.2)
    np.testing.assert_allclose(back.eyes, np.clip(motion.eyes, 0, 2), atol=1e-9)
    assert (
        np.abs(back.brows - motion.brows).max() < 6e-4
        and np.corrcoef(back.brows[:, 0], motion.brows[:, 0])[0, 1] > 0.97
    )
    np.testing.assert_allclose(back.gaze, motion.gaze, atol=1e-9)


@pytest.mark.parametrize("name", ["JawOpen", "MouthPucker", "MouthSmileLeft", "MouthStretchRight", "MouthLeft"])
def test_each_shape_finds_itself(model, name: str) -> None:
    given = weights(**{name: 0.8})
    motion = motion_of_arkit(given, np.zeros((40, 3)), 60.0, model)
    found = arkit_weights(motion, rest_landmarks(model))[-1]
    assert NAMES[int(found.argmax())] == name
    assert found[NAMES.index(name)] == pytest.approx(0.8, abs=0.25)


def test_all_52_come_back(model) -> None:
    for name in NAMES:
        given = weights(**{name: 0.8})
        if name.startswith("EyeLook"):  # both eyes look the same way
            other = name.replace("Left", "_").replace("Right", "Left").replace("_", "Right")
            other = other.replace("In", "_").replace("Out", "In").replace("_", "Out")
            given += weights(**{other: 0.8})
        motion = motion_of_arkit(given, np.zeros((40, 3)), 60.0, model)
        found = arkit_weights(motion, rest_landmarks(model))
        assert found[-1, NAMES.index(name)] > 0.55, name
        assert found[-1, NAMES.index(name)] == pytest.approx(0.8, abs=0.25), name
        again = arkit_weights(motion_of_arkit(found, np.zeros((40, 3)), 60.0, model), rest_landmarks(model))
        assert np.abs(again - found).max() < 0.15, name


def test_the_persons_left_is_the_images_right(model) -> None:
    motion = motion_of_arkit(weights(MouthSmileLeft=1.0, EyeBlinkLeft=1.0), np.zeros((40, 3)), 60.0, model)
    moved = motion.landmarks[-1] - motion.landmarks[0]
    assert moved[54, 1] > 0.002 and abs(moved[48, 1]) < 1e-4
    assert motion.eyes[-1].tolist() == pytest.approx([1.0, 0.0])


def test_csv_round_trip(model, tmp_path) -> None:
    motion = motion_of_openness(OPENNESS)
    write_arkit_csv(motion, tmp_path / "face.csv", rest_landmarks(model))
    with open(tmp_path / "face.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) == 151 and len(rows[0]) == 63 and rows[0][:3] == ["Timecode", "BlendShapeCount", "EyeBlinkLeft"]
    assert rows[27][0] == "00:00:01:01.000" and rows[1][1] == "61"
    found, head, fps = read_arkit_csv(tmp_path / "face.csv")
    assert fps == 25.0
    np.testing.assert_allclose(found, arkit_weights(motion, rest_landmarks(model)), atol=1e-6)
    again = motion_of_arkit(found, head, fps, model)
    turned = pose_vectors(again.head_pose, model.mean_pose)[:, :3]
    np.testing.assert_allclose(turned[:, 1], head[:, 0], atol=1e-9)
    assert np.abs(head).max() > 0.02


def test_measured_scores_are_taken_as_they_are() -> None:
    motion = motion_of_openness(OPENNESS)
    scores = np.zeros((150, 52))
    scores[:, 1 + sorted(set(NAMES) - {"TongueOut"}).index("CheekPuff")] = 0.6
    found = arkit_weights(motion.replace(channels={"arkit52": scores}), motion.landmarks[0])
    assert found[:, NAMES.index("CheekPuff")].tolist() == [0.6] * 150 and found.sum() == pytest.approx(90.0)


def test_what_landmarks_cannot_tell_travels_as_expression(model) -> None:
    given = weights(CheekPuff=0.6, NoseSneerLeft=0.5, JawOpen=0.3)
    motion = motion_of_arkit(given, np.zeros((40, 3)), 60.0, model)
    channel = motion.channels["expression"][-1]
    assert channel[SHAPES.index("cheekPuff")] == 0.6 and channel[SHAPES.index("noseSneerLeft")] == 0.5
    assert channel.sum() == pytest.approx(1.1)
    assert "expression" not in motion_of_arkit(weights(JawOpen=0.3), np.zeros((40, 3)), 60.0, model).channels


def test_split_shapes_are_written_under_arkits_names() -> None:
    motion = motion_of_openness(OPENNESS)
    channel = np.zeros((150, len(SHAPES)))
    channel[:, [SHAPES.index("cheekRaiserLeft"), SHAPES.index("browInnerUpLeft")]] = 0.4
    found = arkit_weights(motion.replace(channels={"expression": channel}), motion.landmarks[0])
    plain = arkit_weights(motion, motion.landmarks[0])
    grown = (found - plain)[0]
    assert grown[NAMES.index("CheekSquintLeft")] == pytest.approx(0.4)
    assert grown[NAMES.index("BrowInnerUp")] == pytest.approx(0.2)


def test_missing_columns_are_named(tmp_path) -> None:
    kept = [n for n in NAMES if n not in ("MouthClose", "CheekPuff")]
    (tmp_path / "x.csv").write_text("Timecode," + ",".join(kept) + ",HeadYaw,HeadPitch,HeadRoll\n")
    with pytest.raises(UserError, match="without the columns MouthClose, CheekPuff"):
        read_arkit_csv(tmp_path / "x.csv")


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "Timecode," + ",".join(NAMES) + "\n"])
def test_other_files_are_user_errors(tmp_path, text: str) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(UserError, match="Live Link Face"):
        read_arkit_csv(tmp_path / "x.csv")
