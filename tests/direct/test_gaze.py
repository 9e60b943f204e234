import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtalk.direct.gaze import GazeControl, Places, gaze_in_room
from gtalk.direct.score import Event, Score
from gtalk.direct.score_edit import ScoreEdit, head_range
from gtalk.geometry.pose import pose_vectors
from tests.motion.talking import motion_of_openness

FPS = 25.0


def at(yaw: int, start_s: float, end_s: float) -> Event:
    return Event("attend.yaw", yaw, start_s, end_s)


def path(yaw_deg: float, frames: int = 100, fps: float = FPS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(gaze, head, lids) on the way from the camera to a place, yaw in degrees."""
    control, place = GazeControl(), np.deg2rad([yaw_deg, 0.0])
    aims = [control(place, 1.0 / fps) for _ in range(frames)]
    deg = np.rad2deg([[aim.gaze[0], aim.head[0]] for aim in aims])
    return deg[:, 0], deg[:, 1], np.array([aim.shut for aim in aims])


@settings(max_examples=8)
@given(st.floats(-60.0, 60.0))
def test_a_saccade_lasts_as_the_main_sequence_says(yaw) -> None:
    gaze, _, _ = path(yaw, 180, 1000.0)
    if abs(yaw) < 2.0:
        return
    moving = np.flatnonzero(np.abs(np.diff(gaze)) > 1e-9)
    assert (moving[-1] + 2) / 1000.0 == pytest.approx(0.021 + 0.0022 * abs(yaw), abs=0.003)
    assert gaze[-1] == pytest.approx(yaw) and np.all(np.sign(np.diff(gaze)[moving]) == np.sign(yaw))


def test_the_head_comes_later_and_the_eyes_turn_back() -> None:
    gaze, head, shut = path(35.0)
    there, half = np.argmax(gaze > 34.0), np.argmax(head > 0.5 * head[-1])
    assert there <= 4 and half >= there + 3 and not head[:2].any()
    eyes = gaze - head
    assert eyes.max() > 30.0 and eyes[-1] < 17.0 and np.all(np.diff(eyes[there + 1 :]) <= 1e-9)
    assert shut.max() > 0.9 and shut[12:].max() == 0.0
    assert path(12.0)[2].max() == 0.0, "small shifts need no blink"


def test_how_long_a_frame_is_changes_the_path_by_a_frame_at_most() -> None:
    _, slow, _ = path(30.0, 50, 25.0)
    _, quick, _ = path(30.0, 200, 100.0)
    assert np.abs(slow[5:] - quick[3::4][5:]).max() < 1.6


def test_the_last_place_wins_and_what_ends_goes_back_to_the_camera() -> None:
    places = Places((at(30, 1.0, 4.0), at(-20, 2.0, 3.0), Event("attend.pitch", 5, 1.0, 4.0)))
    assert places.at(0.5) is None and places.at(4.0) is None
    for time_s, deg in ((1.0, (30, 5)), (2.5, (-20, 5)), (3.5, (30, 5))):
        place = places.at(time_s)
        assert place is not None and np.rad2deg(place) == pytest.approx(deg)
    places.add([at(10, 0.0, 1.0), at(11, 0.0, 9.0)], now_s=5.0)
    assert [(e.value, e.start_s) for e in places.events] == [(11.0, 5.0)]


@pytest.mark.parametrize("yaw", [-40, -15, 8, 40])
def test_eyes_and_head_together_look_at_the_place_within_the_clip(model, yaw) -> None:
    motion = motion_of_openness(np.zeros(150), seed=3).replace(channels={})
    directed = ScoreEdit(model, Score((at(yaw, 1.0, 4.0),)))(motion)
    looked = np.rad2deg(gaze_in_room(directed, model))
    assert np.abs(looked[40:100] - [yaw, 0]).max() < 6.0 and np.median(np.abs(looked[40:100, 0] - yaw)) < 3.0
    head, room = pose_vectors(directed.head_pose, model.mean_pose), head_range(model)
    own = pose_vectors(motion.head_pose, model.mean_pose)
    assert np.all(head >= np.minimum(room.low, own) - 1e-6) and np.all(head <= np.maximum(room.high, own) + 1e-6)
    assert np.array_equal(directed.gaze[:25], motion.gaze[:25]), "not before"
    assert np.allclose(directed.gaze[-3:], motion.gaze[-3:]) and np.allclose(head[-3:], own[-3:], atol=2e-3), "lets go"


def test_a_place_that_is_told_late(model) -> None:
    motion = motion_of_openness(np.zeros(100), seed=3).replace(channels={})
    edit = ScoreEdit(model)
    before = edit(motion[:50], 0)
    edit.receive(at(20, 0.5, 4.0))
    after = edit(motion[50:], 50)
    assert np.array_equal(before.gaze, motion.gaze[:50])
    assert np.rad2deg(gaze_in_room(after, model))[10:, 0] == pytest.approx(20, abs=3)
