"""Turning about the head, kept within what the clip has shown."""

from __future__ import annotations

import dataclasses

import numpy as np

from gtalk.shapes import Float
from gtalk.talk import Talker
from gtalk.types import AUDIO_RATE, Camera
from gtalk.viewer.live.session import LiveSession

MAX_YAW_RAD = np.deg2rad(30.0)
MAX_PITCH_RAD = np.deg2rad(20.0)
DISTANCES = (0.6, 2.0)  # of the clip's own distance


class Orbit:
    """The view of one session; the front is the clip's own view."""

    def __init__(self, session: LiveSession) -> None:
        self._session = session
        self._pivot_world = _head_world(session.talker)

    def look(self, yaw_rad: float, pitch_rad: float, distance: float) -> None:
        """See `orbit_camera`. All zero and distance 1 is the clip's view."""
        camera = self._session.talker.avatar.camera
        own = (yaw_rad, pitch_rad, distance) == (0.0, 0.0, 1.0)
        turned = None if own else orbit_camera(camera, self._pivot_world, yaw_rad, pitch_rad, distance)
        self._session.set_camera(turned)


def orbit_camera(
    camera: Camera, pivot_world: Float[np.ndarray, " 3"], yaw_rad: float, pitch_rad: float, distance: float
) -> Camera:
    """`camera` turned about a point: yaw towards its right, pitch upwards, `distance` times as far away.

    All three are clamped to what an avatar can show.
    """
    T_world_camera = np.linalg.inv(camera.T_camera_world)
    home = T_world_camera[:3, 3] - pivot_world
    up = np.array([0.0, 1.0, 0.0])
    side = np.cross(up, home)
    yaw = float(np.clip(yaw_rad, -MAX_YAW_RAD, MAX_YAW_RAD))
    pitch = float(np.clip(pitch_rad, -MAX_PITCH_RAD, MAX_PITCH_RAD))
    turn = _rotation(up, yaw) @ _rotation(-side / np.linalg.norm(side), pitch)
    T_turn = np.eye(4)
    T_turn[:3, :3] = turn
    T_turn[:3, 3] = pivot_world - turn @ pivot_world + turn @ home * (float(np.clip(distance, *DISTANCES)) - 1.0)
    return dataclasses.replace(camera, T_camera_world=np.linalg.inv(T_turn @ T_world_camera))


def _head_world(talker: Talker) -> Float[np.ndarray, " 3"]:
    """Where the view turns about: on the camera's axis, as far away as the head usually is."""
    assert talker.motion_model is not None
    resting = talker.motion_model.stream(talker.seed).push(np.zeros(AUDIO_RATE, np.float32)).head_pose[:, :3, 3].mean(0)
    T_camera_world = talker.avatar.camera.T_camera_world
    away_m = float((T_camera_world[:3, :3] @ resting + T_camera_world[:3, 3])[2])
    T_world_camera = np.linalg.inv(T_camera_world)
    return T_world_camera[:3, 3] + T_world_camera[:3, 2] * away_m


def _rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
