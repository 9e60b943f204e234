"""Dense alignment of frames with a rest frame, on a drawn head with a strand of hair beside it."""

from __future__ import annotations

import cv2
import numpy as np

from gtalk.prepare.torso.sway import track_sway
from gtalk.types import SWAY, SWAY_GRID

SIDE = 256
STRAND = slice(150, 220)  # columns


def frame(face_px: float, strand_px: float) -> np.ndarray:
    """The whole picture `face_px` to the right, the strand's lower half `strand_px` farther."""
    texture = np.random.default_rng(0).uniform(0, 255, (SIDE, SIDE)).astype(np.float32)
    texture = cv2.normalize(cv2.GaussianBlur(texture, (0, 0), 2.5), np.zeros(0), 0, 255, cv2.NORM_MINMAX)
    x, y = np.meshgrid(np.arange(SIDE, dtype=np.float32), np.arange(SIDE, dtype=np.float32))
    inside = cv2.GaussianBlur(((x > STRAND.start) & (x < STRAND.stop)).astype(np.float32), (0, 0), 12)
    away = face_px + strand_px * inside * np.clip(y / SIDE - 0.4, 0.0, 1.0)
    return cv2.remap(texture, x - away, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT).astype(np.uint8)


def test_a_strand_is_followed_beside_a_face_that_moves() -> None:
    moves = [(0.0, 0.0), (4.0, 0.0), (-3.0, 12.0)]
    images = [frame(*move) for move in moves]
    matte = np.full((SIDE, SIDE), 255, np.uint8)
    face = np.random.default_rng(1).uniform(60, 110, (30, 2))
    points = np.stack([face + np.array([move[0], 0.0]) for move in moves])
    found = track_sway(lambda i: (images[i], matte), points, (SIDE, SIDE), np.array([True, False, False]))
    assert found.shape == (3, SWAY)
    assert (found[0] == 0).all()
    px = found.reshape(3, SWAY_GRID, SWAY_GRID, 2) * SIDE
    assert np.abs(px[1, 2:-2, 2:-2] - [4.0, 0.0]).max() < 0.7
    low, column = round(0.8 * (SWAY_GRID - 1)), round(185 / SIDE * (SWAY_GRID - 1))
    assert abs(px[2, low, column, 0] - (-3.0 + 12.0 * 0.4)) < 1.0
    assert np.abs(px[2, 3:10, 2:6] - [-3.0, 0.0]).max() < 0.7


def test_where_nobody_is_the_grid_follows_the_face() -> None:
    image, matte = frame(0.0, 0.0), np.zeros((SIDE, SIDE), np.uint8)
    points = np.random.default_rng(1).uniform(60, 110, (1, 30, 2)) + np.array([0.0, 5.0])[:, None, None]
    found = track_sway(lambda _: (image, matte), points, (SIDE, SIDE), np.array([True, False]))
    np.testing.assert_allclose(found[1] * SIDE, 5.0, atol=1e-6)
