import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gtalk.talk.orbit import MAX_PITCH_RAD, MAX_YAW_RAD, orbit_camera
from gtalk.types import Camera

CAMERA = Camera(1000.0, 256.0, 256.0, 512, 512)
PIVOT = np.array([0.0, 0.0, -1.0])


def test_the_front_is_the_clips_own_camera() -> None:
    np.testing.assert_allclose(
        orbit_camera(CAMERA, PIVOT, 0.0, 0.0, 1.0).T_camera_world, CAMERA.T_camera_world, atol=1e-12
    )


def test_yaw_goes_to_the_right_pitch_up_and_distance_away() -> None:
    def seen_from(*orbit: float) -> np.ndarray:
        return np.linalg.inv(orbit_camera(CAMERA, PIVOT, *orbit).T_camera_world)[:3, 3] - PIVOT

    assert seen_from(0.2, 0.0, 1.0)[0] > 0.1
    assert seen_from(0.0, 0.2, 1.0)[1] > 0.1
    np.testing.assert_allclose(np.linalg.norm(seen_from(0.1, 0.1, 1.5)), 1.5)


@settings(max_examples=60, deadline=None)
@given(st.floats(-3, 3), st.floats(-1.4, 1.4), st.floats(0.1, 5))
def test_every_orbit_looks_at_the_pivot_from_within_the_range(yaw: float, pitch: float, distance: float) -> None:
    camera = orbit_camera(CAMERA, PIVOT, yaw, pitch, distance)
    np.testing.assert_allclose(camera.project(PIVOT[None]), [[256, 256]], atol=1e-6)
    seen_from = np.linalg.inv(camera.T_camera_world)[:3, 3] - PIVOT
    assert abs(np.arctan2(seen_from[0], seen_from[2])) <= MAX_YAW_RAD + 1e-9
    assert abs(np.arctan2(seen_from[1], np.hypot(seen_from[0], seen_from[2]))) <= MAX_PITCH_RAD + 1e-9
    rotation = camera.T_camera_world[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
