"""A person in a shot whose camera moves: they move as its room does, and nothing else of it changes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from gtalk.dub.config import DubConfig
from gtalk.dub.footage.moving_shot import MovingShot, follow_shot
from gtalk.dub.render import check_dub, render_dub
from gtalk.errors import UserError
from gtalk.media.output.writer import write_video
from gtalk.media.video import read_video
from gtalk.prepare.surroundings.camera_path import for_opencv, moved
from gtalk.progress import silent
from gtalk.types import Frame
from tests.support.moving_camera import seen, turning, wide_room
from tests.support.toys import motion_of, toy_character

SIDE, COUNT = 192, 30
MIDDLE = COUNT // 2
GRID = np.stack(np.meshgrid(np.linspace(0, SIDE, 5), np.linspace(0, SIDE, 5)), -1).reshape(-1, 2)


def true_path() -> np.ndarray:
    """[T,3,3] from the view of the middle image."""
    path = turning("pan", COUNT, SIDE)
    return path @ np.linalg.inv(path[MIDDLE])


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, room = tmp_path_factory.mktemp("film") / "shot.mp4", wide_room(SIDE)
    write_video(path, (seen(room, H, SIDE) for H in turning("pan", COUNT, SIDE)), 30)
    return path


@pytest.fixture(scope="module")
def shot(film: Path) -> MovingShot:
    return follow_shot(film, 30.0, silent)


def cardboard() -> Frame:
    """A disc over nothing, 96 x 96."""
    alpha = np.zeros((96, 96), np.uint8)
    cv2.circle(alpha, (48, 60), 30, 255, -1)
    rgb = np.where(alpha[..., None] > 0, np.uint8(200), np.uint8(0)) * np.ones(3, np.uint8)
    return Frame(0.0, rgb, alpha, motion_of(np.zeros(1)), np.zeros(0, np.float32))


def test_the_camera_is_followed(shot: MovingShot) -> None:
    errors = [
        np.linalg.norm(moved(a, GRID) - moved(b, GRID), axis=1).mean()
        for a, b in zip(shot.path.H_frame_plate, true_path(), strict=True)
    ]
    assert max(errors) < 1.0 and shot.warnings == ()


def test_the_person_moves_with_the_room(shot: MovingShot, film: Path) -> None:
    order = shot.order(COUNT + 6)
    frames = list(shot.with_person([cardboard()] * (COUNT + 6), order))
    alone = list(shot.with_person([cardboard()] * COUNT, order, alone=True))
    images, placed = list(read_video(film, fps=30)), np.diag([2.0, 2.0, 1.0])
    assert len(frames) == COUNT + 6 and np.array_equal(frames[COUNT].rgb, frames[COUNT - 2].rgb)  # to and fro
    for index in range(0, COUNT, 7):
        wanted = cv2.warpPerspective(cardboard().alpha, for_opencv(true_path()[index] @ placed), (SIDE, SIDE)) > 127
        found = alone[index].alpha > 127
        assert (wanted & found).sum() / (wanted | found).sum() > 0.96
        nobody = alone[index].alpha == 0
        assert np.array_equal(frames[index].rgb[nobody], images[index][nobody])
        assert np.abs(frames[index].rgb[alone[index].alpha == 255].astype(int) - 200).max() <= 1
        assert (frames[index].alpha == 255).all()


def test_a_dub_stands_in_the_shot_in_its_size_and_rate(film: Path, tmp_path: Path) -> None:
    motion_of(np.full(12, 0.01)).save(tmp_path / "m.npz")
    config = DubConfig(camera_from=film, codec="lossless")
    check_dub(tmp_path / "m.npz", tmp_path / "a.mkv", config)
    result = render_dub(toy_character(64), tmp_path / "m.npz", tmp_path / "a.mkv", config)
    written = read_video(tmp_path / "a.mkv", fps=30)
    assert written.size == (SIDE, SIDE) and abs(written.info.fps - 30) < 0.01 and result.n_frames == len(written)
    first, behind = next(iter(written)).astype(int), next(iter(read_video(film, fps=30))).astype(int)
    changed = np.abs(first - behind).max(-1) > 24
    assert 0.05 < changed.mean() < 0.8
    assert np.abs(first - behind)[:12].mean() < 4  # above the head it is the shot


def test_what_contradicts_a_shot_is_refused(film: Path, tmp_path: Path) -> None:
    for other in ({"onto": film}, {"height": 64}, {"background": "#ffffff"}):
        with pytest.raises(UserError, match="camera-from"):
            check_dub(None, tmp_path / "a.mp4", DubConfig(camera_from=film, **other))
    with pytest.raises(UserError, match="media file"):
        check_dub(None, tmp_path / "a.mp4", DubConfig(camera_from=tmp_path / "none.mp4"))
