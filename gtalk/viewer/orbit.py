"""From the orbit of the browser's camera to the avatar's view, kept within what the clip has shown."""

from __future__ import annotations

import dataclasses

import numpy as np

from gtalk.shapes import Float
from gtalk.types import Camera

MAX_YAW_RAD = np.deg2rad(30.0)
MAX_PITCH_RAD = np.deg2rad(20.0)
_DISTANCE_RANGE = (0.6, 2.0)  # of the clip's own distance


def orbit_camera(
    camera: Camera,
    pivot_world: Float[np.ndarray, " 3"],
    position_world: Float[np.ndarray, " 3"],
) -> Camera:
    """`camera` moved to look at `pivot_world` from the direction of `position_world`.

    The clip's own direction is the middle; yaw, pitch and distance are clamped. At the clip's own
    position the clip's own camera comes back exactly.
    """
    T_world_camera = np.linalg.inv(camera.T_camera_world)
    home = T_world_camera[:3, 3] - pivot_world
    away = np.asarray(position_world, np.float64) - pivot_world
    yaw = _clamped(np.arctan2(away[0], away[2]) - np.arctan2(home[0], home[2]), MAX_YAW_RAD)
    pitch = _clamped(_elevation(away) - _elevation(home), MAX_PITCH_RAD)
    scale = float(np.clip(np.linalg.norm(away) / np.linalg.norm(home), *_DISTANCE_RANGE))
    side = np.cross([0.0, 1.0, 0.0], home)
    turn = _rotation(np.array([0.0, 1.0, 0.0]), yaw) @ _rotation(-side / np.linalg.norm(side), pitch)
    T_turn = np.eye(4)
    T_turn[:3, :3] = turn
    T_turn[:3, 3] = pivot_world - turn @ pivot_world + turn @ home * (scale - 1.0)
    return dataclasses.replace(camera, T_camera_world=np.linalg.inv(T_turn @ T_world_camera))


def _clamped(angle: float, limit: float) -> float:
    wrapped = (angle + np.pi) % (2 * np.pi) - np.pi
    return float(np.clip(wrapped, -limit, limit))


def _elevation(vector: np.ndarray) -> float:
    return float(np.arctan2(vector[1], np.hypot(vector[0], vector[2])))


def _rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
