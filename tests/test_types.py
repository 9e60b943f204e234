import json

import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.rig.shapes import SHAPES
from gtalk.types import EXPRESSIONS, Camera, Motion


def some_motion(frames: int = 5) -> Motion:
    rng = np.random.default_rng(0)
    return Motion(
        25.0, rng.normal(size=(frames, 68, 3)), rng.random((frames, 2)), rng.normal(size=(frames, 2)),
        rng.normal(size=(frames, 2)), np.tile(np.eye(4), (frames, 1, 1)), np.ones(frames, bool),
        {"torso": rng.normal(size=(frames, 4))},
    )  # fmt: skip


def test_camera_projects_to_known_pixels() -> None:
    camera = Camera(1000.0, 256.0, 256.0, 512, 512)
    points = np.array([[0.0, 0.0, -1.0], [0.1, 0.0, -1.0], [0.0, 0.1, -1.0]])
    np.testing.assert_allclose(camera.project(points), [[256, 256], [356, 256], [256, 156]])


def test_resized_camera_sees_the_same() -> None:
    camera = Camera(1000.0, 250.0, 260.0, 512, 512)
    point = np.array([[0.03, -0.02, -0.9]])
    np.testing.assert_allclose(camera.resized(256, 256).project(point), camera.project(point) / 2)
    with pytest.raises(UserError, match="aspect ratio"):
        camera.resized(256, 200)


def test_camera_round_trips_through_json() -> None:
    camera = Camera(900.0, 1.0, 2.0, 512, 288, np.eye(4))
    again = Camera.from_json(json.loads(json.dumps(camera.to_json())))
    assert again.to_json() == camera.to_json()


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0},
        {"height": 10**9},
        {"focal_px": 0.0},
        {"cx_px": 1e9},
        {"T_camera_world": [[2.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]},
        {"T_camera_world": [[1.0, 0, 0, 0]]},
        {"T_camera_world": [[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 2]]},
        {"T_camera_world": [[1.0, 0, 0, 2e4], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]},
        {"focal_px": "far"},
        {"width": None},
    ],
    ids=str,
)
def test_what_is_no_camera_is_refused(change: dict) -> None:
    with pytest.raises((TypeError, ValueError)):
        Camera.from_json({**Camera(100.0, 8.0, 8.0, 16, 16).to_json(), **change})


def test_motion_slices_are_motions() -> None:
    motion = some_motion()
    assert len(motion[1:3]) == 2
    assert len(motion[-1]) == 1
    np.testing.assert_array_equal(motion[-1].landmarks[0], motion.landmarks[4])
    joined = Motion.concatenate([motion[:2], motion[2:]])
    np.testing.assert_array_equal(joined.channels["torso"], motion.channels["torso"])


def test_joined_motion_keeps_what_all_parts_have_and_an_expression_is_none_where_it_is_absent() -> None:
    motion, rng = some_motion(), np.random.default_rng(1)
    own = {"expression": rng.random((2, EXPRESSIONS)), "torso": motion.channels["torso"][:2]}
    joined = Motion.concatenate([motion[:2].replace(channels=own), motion[2:].replace(channels={})])
    assert set(joined.channels) == {"expression"} and joined.fps == 25.0 and len(joined) == 5
    np.testing.assert_array_equal(joined.channels["expression"][:2], own["expression"])
    assert not joined.channels["expression"][2:].any()
    only = Motion.concatenate([motion[:2], motion[2:].replace(channels={"gain": np.ones(3)})])
    assert only.channels == {} and len(SHAPES) == EXPRESSIONS


@pytest.mark.parametrize(
    "values",
    [np.ones((5, 3)), np.full((5, 4), np.inf), np.full((5, 4), 1e30), np.full((5, 4), "1"), np.full((5, 4), 1j)],
    ids=str,
)
def test_a_channel_of_no_usual_numbers_is_refused(values: np.ndarray, tmp_path) -> None:
    some_motion().replace(channels={"torso": values}).save(tmp_path / "x.motion.npz")
    with pytest.raises(UserError, match="torso"):
        Motion.load(tmp_path / "x.motion.npz")


def test_motion_round_trips_through_its_file(tmp_path) -> None:
    motion = some_motion()
    motion.save(tmp_path / "x.motion.npz")
    again = Motion.load(tmp_path / "x.motion.npz")
    for name in ("landmarks", "eyes", "gaze", "brows", "head_pose", "valid"):
        np.testing.assert_array_equal(getattr(again, name), getattr(motion, name))
    np.testing.assert_array_equal(again.channels["torso"], motion.channels["torso"])


def test_damaged_motion_files_are_named(tmp_path) -> None:
    path = tmp_path / "x.motion.npz"
    with pytest.raises(UserError, match="nothing there"):
        Motion.load(path)
    path.write_bytes(b"not a zip")
    with pytest.raises(UserError, match="gtalk motion file"):
        Motion.load(path)
    motion = some_motion()
    fields = {n: getattr(motion, n) for n in ("landmarks", "eyes", "gaze", "brows", "head_pose", "valid")}
    np.savez(path, version=99, fps=25.0, **fields)
    with pytest.raises(UserError, match="version 99"):
        Motion.load(path)
    np.savez(path, version=1, fps=25.0, **{**fields, "eyes": np.full((5, 2), np.nan)})
    with pytest.raises(UserError, match="eyes is not finite"):
        Motion.load(path)
    np.savez(path, version=1, fps=25.0, **{**fields, "eyes": np.array([object()] * 5)})
    with pytest.raises(UserError, match="gtalk motion file"):
        Motion.load(path)
