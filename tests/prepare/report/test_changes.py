"""A wig that comes off, and cameras that alternate, are told; ordinary clips are not complained of."""

from __future__ import annotations

import numpy as np

from gtalk.dataset.format import MaskClass, Segment
from gtalk.prepare.report.changes import above_the_face, alternating_cameras, changed_hair
from gtalk.prepare.report.metrics import judge
from gtalk.topology import FACE_OVAL
from tests.prepare.report.test_metrics import GOOD_IMAGE, GOOD_MOVEMENT, GOOD_SOUND

RING = 2 * np.pi * np.arange(36) / 36


def face(x: float = 60, y: float = 70, width: float = 40) -> np.ndarray:
    points = np.full((478, 2), [x, y], float)
    points[FACE_OVAL] = [x, y] + width / 2 * np.stack([np.sin(RING), -1.3 * np.cos(RING)], 1)
    points[[33, 263], 1] = y - 0.2 * width
    return points


def look(colour: tuple[int, int, int], height: int = 30, noise: int = 0) -> np.ndarray:
    """A head of hair of some height above the face."""
    rng = np.random.default_rng(noise)
    labels = np.zeros((120, 120), np.uint8)
    labels[60 - height : 66, 36:84] = MaskClass.HEAD
    rgb = np.clip(np.array(colour) + rng.normal(0, 12, (120, 120, 3)), 0, 255).astype(np.uint8)
    return above_the_face(rgb, labels, face())


def test_a_wig_that_comes_off_is_told_with_its_time() -> None:
    times = [float(i) for i in range(40)]
    by_colour = [look((200, 170, 110) if i < 25 else (40, 30, 28), noise=i) for i in range(40)]
    (told, remedy) = changed_hair(by_colour, times)[0]
    assert "another from 25 s on" in told and "before or after" in remedy
    by_size = [look((60, 45, 40), 50 if i < 12 else 22, noise=i) for i in range(40)]
    assert "from 12 s on" in changed_hair(by_size, times)[0][0]


def test_hair_that_leaves_the_image_above_is_no_change() -> None:
    times = [float(i) for i in range(40)]
    cut_off = look((60, 45, 40), 60)
    assert np.isnan(cut_off[3]) and np.isfinite(cut_off[:3]).all()
    assert changed_hair([look((60, 45, 40), 60 if i < 12 else 22, noise=i) for i in range(40)], times) == []


def test_hair_that_only_moves_and_shines_is_no_change() -> None:
    times = [float(i) for i in range(40)]
    assert changed_hair([look((70, 50, 40), 30 + i % 5, noise=i) for i in range(40)], times) == []
    slowly = [look((60 + i, 45 + i, 40 + i), 30, noise=i) for i in range(40)]
    assert changed_hair(slowly, times) == []
    assert changed_hair([], []) == []
    bald = [np.array([np.nan, np.nan, np.nan, 0.0])] * 20
    assert changed_hair(bald, [float(i) for i in range(20)]) == []


def cameras(places: list[tuple[float, float, float]], yaws: list[float]) -> list[tuple[str, str]]:
    segments = [Segment(20 * i, 20 * i + 20, "a") for i in range(len(places))]
    points = np.concatenate([np.tile(face(*place), (20, 1, 1)) for place in places])
    points += np.random.default_rng(0).normal(0, 0.5, points.shape)
    return alternating_cameras(points, np.repeat(np.array(yaws, float), 20), np.ones(len(points), bool), segments)


def test_two_cameras_that_alternate_are_told() -> None:
    one, other = (60.0, 70.0, 40.0), (75.0, 60.0, 60.0)
    told = cameras([one, other, one, other, one], [0, 0, 0, 0, 0])
    assert "two cameras alternate (5 shots; 2 s of one, 2 s of the other)" in told[0][0]
    assert cameras([one, one, one, one], [2, 35, 1, 33]) != []
    verdict = judge(GOOD_SOUND, GOOD_IMAGE, GOOD_MOVEMENT, {"changes": told})
    assert verdict.word == "usable" and "two cameras" in verdict.problems[0] and "frontal" in verdict.advice[0]


def test_cuts_of_one_camera_are_no_alternation() -> None:
    rng = np.random.default_rng(1)
    takes = [tuple(np.array([60.0, 70.0, 40.0]) + rng.normal(0, 1.5, 3)) for _ in range(8)]
    assert cameras(takes, rng.normal(0, 3, 8).tolist()) == []
    assert cameras([(60.0, 70.0, 40.0), (90.0, 60.0, 60.0)], [0, 0]) == []  # one change, once
    spread = [(40.0 + 8 * i, 70.0, 40.0) for i in (0, 3, 1, 4, 2, 5)]  # somebody who sits elsewhere in every take
    assert cameras(spread, [0] * 6) == []
