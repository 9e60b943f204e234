"""Shots of a room by a camera that shakes, pans and turns, with its exact path."""

from __future__ import annotations

import cv2
import numpy as np

from demo_person.drawing.background import room_picture
from gtalk.prepare.surroundings.camera_path import for_opencv


def wide_room(side: int, seed: int = 3) -> np.ndarray:
    """[2 side, 2 side, 3] a room in focus: shelves, and a wallpaper with details of several sizes."""
    room = room_picture(2 * side, 2 * side).astype(np.float32)
    rng = np.random.default_rng(seed)
    for cells, strength in ((20, 34.0), (60, 24.0), (150, 14.0)):
        spots = cv2.resize(rng.standard_normal((cells, cells, 3)).astype(np.float32), room.shape[1::-1])
        room += strength * spots
    return np.clip(np.rint(room), 0, 255).astype(np.uint8)


def turning(kind: str, n_frames: int, side: int, fps: float = 25.0) -> np.ndarray:
    """[T,3,3] homographies from the view straight ahead to each frame's, pixels with centres at .5.

    handheld: shakes about three axes; pan: turns by a third of the image and back, with a shake; zoom: comes nearer.
    """
    t = np.arange(n_frames) / fps
    focal = 2.2 * side
    angles = np.stack([0.010 * np.sin(2.9 * t) + 0.004 * np.sin(9.1 * t), 0.008 * np.sin(3.7 * t + 1.0),
                       0.020 * np.sin(2.1 * t + 2.0)], 1)  # fmt: skip
    zoom = np.ones(n_frames)
    if kind == "pan":
        angles[:, 0] += 0.15 * np.sin(np.pi * t / t[-1])
    if kind == "zoom":
        zoom = np.exp(0.18 * t / t[-1])
    result = []
    for (yaw, pitch, roll), scale in zip(angles, zoom, strict=True):
        turn = cv2.Rodrigues(np.array([pitch, yaw, 0.0]))[0] @ cv2.Rodrigues(np.array([0.0, 0.0, roll]))[0]
        camera = np.array([[focal, 0.0, side / 2], [0.0, focal, side / 2], [0.0, 0.0, 1.0]])
        nearer = np.diag([scale, scale, 1.0])
        nearer[:2, 2] = (1 - scale) * side / 2
        result.append(nearer @ camera @ turn @ np.linalg.inv(camera))
    return np.stack(result)


def seen(room: np.ndarray, homography: np.ndarray, side: int) -> np.ndarray:
    """What a view of `side` pixels shows of a picture whose middle is straight ahead."""
    shift = np.eye(3)
    shift[:2, 2] = -(room.shape[1] - side) / 2, -(room.shape[0] - side) / 2
    return cv2.warpPerspective(room, for_opencv(homography @ shift), (side, side), flags=cv2.INTER_LINEAR)
