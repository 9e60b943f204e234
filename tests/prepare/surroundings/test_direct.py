"""Blurred rooms are aligned by their shades; where there are none, nothing is said."""

import cv2
import numpy as np
import pytest

from gtalk.prepare.surroundings.direct import align

SIZE = (180, 320)
ROOM = np.full(SIZE, 255, np.uint8)


def blurred(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(0, 255, (23, 40)).astype(np.float32)
    return np.clip(cv2.GaussianBlur(cv2.resize(noise, SIZE[::-1], interpolation=cv2.INTER_CUBIC), (0, 0), 4), 0, 255)


def test_a_room_that_moved_and_grew_is_found() -> None:
    room = blurred(1)
    truth = np.array([[1.01, 0.004, 2.6], [-0.004, 1.01, -1.7], [0.0, 0.0, 1.0]])
    moved = cv2.warpPerspective(room, truth, SIZE[::-1], borderMode=cv2.BORDER_REFLECT)
    aligned = align((room.astype(np.uint8), ROOM), (moved.astype(np.uint8), ROOM), np.eye(3))
    assert aligned is not None
    corners = np.array([[[40.0, 40.0], [280.0, 40.0], [280.0, 140.0], [40.0, 140.0]]])
    found, wanted = (cv2.perspectiveTransform(corners, H) for H in (aligned.H, truth))
    assert np.abs(found - wanted).max() < 0.5


@pytest.mark.parametrize("level", [0, 128])
def test_plain_pictures_tell_nothing(level: int) -> None:
    plain = np.full(SIZE, level, np.uint8)
    assert align((plain, ROOM), (plain, ROOM), np.eye(3)) is None
    assert align((blurred(2).astype(np.uint8), 0 * ROOM), (plain, ROOM), np.eye(3)) is None  # and no room at all
