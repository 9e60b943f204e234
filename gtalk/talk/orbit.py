"""Cameras about the head, kept within what the clip has shown."""

from __future__ import annotations

import dataclasses

import numpy as np

from gtalk.geometry.rotation import exp_so3
from gtalk.motion.base import MotionModel
from gtalk.shapes import Float
from gtalk.types import AUDIO_RATE, Camera

MAX_YAW_RAD = np.deg2rad(30.0)
MAX_PITCH_RAD = np.deg2rad(20.0)
DISTANCES = (0.6, 2.0)  # of the clip's own distance
_USUAL_AWAY_M = 0.8  # of a head in front of a webcam, where no motion model knows it


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
    turn = exp_so3(yaw * up) @ exp_so3(-pitch * side / np.linalg.norm(side))
    T_turn = np.eye(4)
    T_turn[:3, :3] = turn
    T_turn[:3, 3] = pivot_world - turn @ pivot_world + turn @ home * (float(np.clip(distance, *DISTANCES)) - 1.0)
    return dataclasses.replace(camera, T_camera_world=np.linalg.inv(T_turn @ T_world_camera))


def head_pivot(camera: Camera, model: MotionModel | None, seed: int = 0) -> Float[np.ndarray, " 3"]:
    """Where a view turns about, in world coordinates: on the camera's axis, as far away as the head usually is."""
    away_m = _USUAL_AWAY_M
    if model is not None:
        resting = model.stream(seed).push(np.zeros(AUDIO_RATE, np.float32)).head_pose[:, :3, 3].mean(0)
        away_m = float((camera.T_camera_world[:3, :3] @ resting + camera.T_camera_world[:3, 3])[2])
    T_world_camera = np.linalg.inv(camera.T_camera_world)
    return T_world_camera[:3, 3] + T_world_camera[:3, 2] * away_m
