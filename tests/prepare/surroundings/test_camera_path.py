"""The path of a camera, and the room behind a person, against exact truth."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest

from gtalk.dataset.format import Segment
from gtalk.prepare.surroundings.camera_path import CameraPath, find_path, moved
from gtalk.prepare.surroundings.mosaic import Mosaic, make_mosaic
from tests.support.moving_camera import seen, turning, wide_room

SIDE, FRAMES = 256, 70
GRID = np.stack(np.meshgrid(np.linspace(0, SIDE, 7), np.linspace(0, SIDE, 7)), -1).reshape(-1, 2)


@cache
def room() -> np.ndarray:
    return wide_room(SIDE)


def person(index: int) -> np.ndarray:
    """Where somebody stands who sways by themselves."""
    matte = np.zeros((SIDE, SIDE), np.uint8)
    x = int(SIDE / 2 + 12 * np.sin(index / 6))
    cv2.ellipse(matte, (x, 110), (44, 60), 0, 0, 360, 255, -1)
    cv2.ellipse(matte, (x, SIDE + 10), (100, 100), 0, 0, 360, 255, -1)
    return matte


def shot(path: np.ndarray, index: int, passer_by: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """(image, matte) of a frame: somebody in stripes, grain, and perhaps somebody else who walks behind."""
    image = seen(room(), path[index], SIDE)
    if passer_by:
        left = (9 * index) % (SIDE + 60) - 60
        image[90:230, max(0, left) : max(0, left + 60)] = (30, 40, 130)
    matte = person(index)
    stripes = np.broadcast_to((90 + 60 * ((np.arange(SIDE) // 5) % 2))[:, None, None], image.shape)
    image = np.where(matte[..., None] > 0, stripes, image)
    noise = np.random.default_rng(index).normal(0, 2.0, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8), matte


def followed(path: np.ndarray, segments: list[Segment], passer_by: bool = False) -> CameraPath:
    def read(index: int) -> tuple[np.ndarray, np.ndarray]:
        image, matte = shot(path, index, passer_by)
        return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), 255 - cv2.dilate(matte, np.ones((9, 9), np.uint8))

    return find_path(read, (SIDE, SIDE), segments)


def error_px(found: CameraPath, path: np.ndarray) -> np.ndarray:
    """[T] mean distance of points of the image from where they are."""
    true = path @ np.linalg.inv(path[found.reference])
    return np.array(
        [
            np.linalg.norm(moved(a, GRID) - moved(b, GRID), axis=1).mean()
            for a, b in zip(found.H_frame_plate, true, strict=True)
        ]
    )


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(a.astype(float) - b).mean()))


@pytest.mark.parametrize("kind", ["handheld", "pan", "zoom"])
def test_the_path_is_found_and_the_room_put_together(kind: str) -> None:
    path = turning(kind, FRAMES, SIDE)
    found = followed(path, [Segment(0, FRAMES, "a")])
    assert found.moves and found.known.all()
    assert error_px(found, path).mean() < 0.35 and error_px(found, path).max() < 1.2
    mosaic = make_mosaic(lambda i: shot(path, i), (SIDE, SIDE), found)
    plate, known = mosaic.plate((SIDE, SIDE))
    assert known.mean() > 0.4
    assert psnr(plate[known], seen(room(), path[found.reference], SIDE)[known]) > 30
    assert mosaic.moving_share < 0.02
    behind, sure = mosaic.behind(5, (SIDE, SIDE))
    there = (sure > 0.99) & (person(5) == 0)
    assert there.mean() > 0.3
    assert psnr(behind[there], seen(room(), path[5], SIDE)[there]) > 28
    if kind == "pan":
        assert mosaic.image.shape[1] > 1.2 * SIDE


def test_a_camera_on_a_stand_stands_still() -> None:
    """A tremble below what counts, and somebody who walks by behind."""
    for passer_by in (False, True):
        found = followed(np.tile(np.eye(3), (FRAMES, 1, 1)), [Segment(0, FRAMES, "a")], passer_by)
        assert not found.moves and found.known.all()


def test_hair_before_a_plain_wall_is_no_movement_of_the_camera() -> None:
    """Corners on one side alone, which go where the head goes; and what a closer look takes for the person."""
    rng = np.random.default_rng(0)
    hair = cv2.resize(rng.integers(20, 120, (40, 14), dtype=np.uint8), (56, 160), interpolation=cv2.INTER_CUBIC)

    def read(index: int) -> tuple[np.ndarray, np.ndarray]:
        grey = np.full((SIDE, SIDE), 110, np.uint8)
        left = 24 + round(10 * np.sin(index / 5))
        grey[60:220, left : left + 56] = hair
        room = np.full((SIDE, SIDE), 255, np.uint8)
        room[:, 96:] = 0
        return grey, room

    one = [Segment(0, FRAMES, "a")]
    assert not find_path(read, (SIDE, SIDE), one).moves
    path, asked = turning("handheld", FRAMES, SIDE), []

    def rough(index: int) -> tuple[np.ndarray, np.ndarray]:
        return cv2.cvtColor(shot(path, index)[0], cv2.COLOR_RGB2GRAY), np.full((SIDE, SIDE), 255, np.uint8)

    def closer():
        asked.append(True)
        return read

    assert not find_path(rough, (SIDE, SIDE), one, closer=closer).moves and asked == [True]


@pytest.mark.parametrize("kind", ["handheld", "zoom"])
def test_a_blurred_room_is_followed_by_its_shades(kind: str) -> None:
    """Out of focus there are no corners, and on one side of the person none at all."""
    path = turning(kind, FRAMES, SIDE)
    blurred = cv2.GaussianBlur(room(), (0, 0), 8.0)

    def read(index: int) -> tuple[np.ndarray, np.ndarray]:
        image = (
            seen(blurred, path[index], SIDE).astype(float)
            + np.random.default_rng(index).normal(0, 1.5, (SIDE,) * 2)[..., None]
        )
        matte = person(index)
        grey = cv2.cvtColor(np.clip(image, 0, 255).astype(np.uint8), cv2.COLOR_RGB2GRAY)
        return np.where(matte > 0, 90, grey).astype(np.uint8), 255 - cv2.dilate(matte, np.ones((9, 9), np.uint8))

    found = find_path(read, (SIDE, SIDE), [Segment(0, FRAMES, "a")])
    assert found.moves and found.known.mean() > 0.95
    assert error_px(found, path).mean() < 1.0
    path[:] = np.eye(3)
    assert not find_path(read, (SIDE, SIDE), [Segment(0, FRAMES, "a")]).moves


def test_somebody_who_walks_by_is_no_movement_of_the_camera() -> None:
    path = turning("handheld", FRAMES, SIDE)
    found = followed(path, [Segment(0, FRAMES, "a")], passer_by=True)
    assert error_px(found, path).mean() < 0.6
    mosaic = make_mosaic(lambda i: shot(path, i, True), (SIDE, SIDE), found)
    plate, known = mosaic.plate((SIDE, SIDE))
    assert psnr(plate[known], seen(room(), path[found.reference], SIDE)[known]) > 28
    assert mosaic.moving_share > 0.04
    x, y = -mosaic.corner_px
    moving = mosaic.moving[y : y + SIDE, x : x + SIDE]
    assert moving[100:220, :20].mean() > 5 * moving[:60].mean()


def test_shots_are_joined_where_they_show_the_same_room_and_else_not() -> None:
    path = turning("handheld", FRAMES, SIDE)
    path[40:] = path[40:] @ np.array([[1.1, 0.0, -20.0], [0.0, 1.1, -10.0], [0.0, 0.0, 1.0]])
    both = [Segment(0, 40, "a"), Segment(40, FRAMES, "a")]
    found = followed(path, both)
    assert found.known.all() and error_px(found, path).mean() < 1.0
    elsewhere = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE), dtype=np.uint8)

    def read(index: int) -> tuple[np.ndarray, np.ndarray]:
        image, matte = shot(path, index)
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        return (grey if index < 40 else np.roll(elsewhere, 3 * index, axis=1)), 255 - matte

    apart = find_path(read, (SIDE, SIDE), both)
    assert apart.known[:40].all() and not apart.known[40:].any()


def test_homographies_follow_the_size_of_the_image() -> None:
    path = CameraPath(turning("pan", 5, SIDE), np.ones(5, bool), 0)
    half = path.resized(0.5)
    for small, large in zip(half.H_frame_plate, path.H_frame_plate, strict=True):
        assert np.allclose(moved(small, GRID / 2), moved(large, GRID) / 2)
    assert 0.2 < path.reach((SIDE, SIDE)) == pytest.approx(half.reach((SIDE // 2, SIDE // 2)))


def test_lost_frames_have_no_room_behind_them() -> None:
    path = CameraPath(np.tile(np.eye(3), (2, 1, 1)), np.array([True, False]), 0)
    whole = np.full((4, 4, 3), 9, np.uint8)
    mosaic = Mosaic(path, whole, np.ones((4, 4), bool), np.zeros(2, int), np.zeros((4, 4)), 0.0)
    assert mosaic.behind(0, (4, 4))[1].all() and not mosaic.behind(1, (4, 4))[1].any()
