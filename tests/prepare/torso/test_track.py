import cv2
import numpy as np
import pytest

from gtalk.dataset.format import MaskClass, Segment
from gtalk.geometry.similarity import compose, from_matrices, inverse, matrices, opencv_matrix
from gtalk.prepare.torso.solve import Observations, solve_shot
from gtalk.prepare.torso.track import track_torso

SIZE = (192, 192)


def clothes(textured: bool) -> np.ndarray:
    rng = np.random.default_rng(4)
    if not textured:
        return np.full((192, 192, 3), 35, np.uint8)
    return cv2.resize(rng.integers(20, 235, (48, 48, 3), dtype=np.uint8), SIZE, interpolation=cv2.INTER_CUBIC)


def outline() -> np.ndarray:
    """Shoulders: 1 where the torso is."""
    mask = np.zeros((192, 192), np.uint8)
    cv2.ellipse(mask, (96, 190), (86, 80), 0, 0, 360, 1, -1)
    return mask


def motion(count: int, offset: float = 0.0) -> np.ndarray:
    t = np.arange(count)
    return np.stack(
        [
            offset + 0.03 * np.sin(t / 6),
            0.015 * np.sin(t / 9 + 1),
            0.04 * np.sin(t / 8 + 2),
            0.02 * np.sin(t / 11),
        ],
        axis=1,
    )


def reader(truth: np.ndarray, textured: bool):
    """Frames of a torso that moves over a still, lightly textured background."""
    rng = np.random.default_rng(9)
    room = cv2.resize(rng.integers(120, 170, (6, 6, 3), dtype=np.uint8), SIZE, interpolation=cv2.INTER_CUBIC)

    def read(index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        matrix = opencv_matrix(matrices(truth[index], SIZE))
        matte = cv2.warpAffine(
            cv2.GaussianBlur(outline() * 255, (0, 0), 1), matrix, SIZE, borderMode=cv2.BORDER_REPLICATE
        )
        cloth = cv2.warpAffine(clothes(textured), matrix, SIZE, borderMode=cv2.BORDER_REFLECT)
        share = matte[..., None] / 255.0
        noise = np.random.default_rng(index).normal(0, 2, (192, 192, 3))
        frame = np.clip(cloth * share + room * (1 - share) + noise, 0, 255).astype(np.uint8)
        return frame[..., 1], np.where(matte > 127, MaskClass.TORSO, MaskClass.BACKGROUND).astype(np.uint8), matte

    return read


def relative(truth: np.ndarray, rest: int) -> np.ndarray:
    every = matrices(truth, SIZE)
    return from_matrices(compose(inverse(every[rest]), every), SIZE)


def test_textured_clothes_are_followed_to_a_fifth_of_a_pixel() -> None:
    truth = motion(60)
    found = track_torso(reader(truth, True), SIZE, [Segment(0, 60, "a")])
    assert found.tracked.all()
    error_px = np.abs(found.torso - relative(truth, found.rest_frame)) * 192
    assert error_px[:, :2].max() < 0.35
    assert error_px.mean() < 0.12
    assert np.allclose(found.torso[found.rest_frame], 0, atol=1e-12)


def test_a_shot_after_a_cut_is_registered_to_the_same_rest() -> None:
    truth = np.concatenate([motion(40), motion(30, offset=0.10)])
    found = track_torso(reader(truth, True), SIZE, [Segment(0, 40, "a"), Segment(40, 70, "a")])
    error_px = np.abs(found.torso - relative(truth, found.rest_frame)) * 192
    assert error_px.max() < 0.8
    assert np.abs(found.torso[40] - found.torso[39])[0] > 0.05  # nothing was smoothed across the cut


def test_plain_clothes_follow_the_shoulder_line() -> None:
    truth = motion(40)
    truth[:, 2:] = 0
    found = track_torso(reader(truth, False), SIZE, [Segment(0, 40, "a")])
    error_px = np.abs(found.torso - relative(truth, found.rest_frame))[:, :2] * 192
    assert error_px.mean() < 1.0 < np.abs(relative(truth, found.rest_frame))[:, :2].max() * 192 / 3


def test_a_torso_that_the_middle_frame_hides_is_followed_all_the_same() -> None:
    truth = motion(40)
    whole = reader(truth, True)

    def read(index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        frame, labels, matte = whole(index)
        return (frame, np.zeros_like(labels), np.zeros_like(matte)) if 15 <= index < 25 else (frame, labels, matte)

    found = track_torso(read, SIZE, [Segment(0, 40, "a")])
    error_px = np.abs(found.torso - relative(truth, found.rest_frame)) * 192
    assert found.tracked[:15].all() and error_px[:15, :2].max() < 0.35


def test_no_torso_in_the_image() -> None:
    def read(index: int):
        empty = np.zeros((64, 64), np.uint8)
        return empty, empty, empty

    found = track_torso(read, (64, 64), [Segment(0, 5, "a")])
    assert not found.tracked.any()
    assert not found.torso.any()


@pytest.mark.parametrize("outliers", [0.0, 0.25])
def test_the_joint_solve_ignores_corners_that_move_by_themselves(outliers: float) -> None:
    rng = np.random.default_rng(0)
    centre, radius, count = np.array([100.0, 150.0]), 40.0, 30
    truth = np.tile(np.eye(2, 3), (count, 1, 1))
    truth[:, 0, 2] = 6 * np.sin(np.arange(count) / 6)
    points = centre + rng.uniform(-60, 60, (50, 2))
    wild = rng.random(50) < outliers
    frames = []
    for t in range(count):
        seen = points @ truth[t, :, :2].T + truth[t, :, 2] + rng.normal(0, 0.2, points.shape)
        seen[wild] = points[wild] + 5 * np.sin(t / 2)
        none = np.zeros((0, 2))
        keep = np.arange(50) if t not in (10, 11) else np.zeros(0, int)  # two frames without any texture
        frames.append(Observations(keep, points[keep], seen[keep], none, none, none))
    found = solve_shot(frames, centre, radius, 50)
    assert np.abs(found[:, :, 2] - truth[:, :, 2]).max() < (0.5 if outliers else 0.4)
