import cv2
import numpy as np
import pytest

from gtalk.prepare.ingest.cuts import CutFinder


def scene(shift: float, seed: int = 0) -> np.ndarray:
    """A textured image moved by some pixels."""
    rng = np.random.default_rng(seed)
    base = cv2.resize(rng.integers(0, 255, (12, 12, 3), dtype=np.uint8), (128, 128), interpolation=cv2.INTER_CUBIC)
    return cv2.warpAffine(base, np.array([[1.0, 0, shift], [0, 1.0, 0]]), (128, 128), borderMode=cv2.BORDER_REFLECT)


def cuts_of(images: list[np.ndarray]) -> list[int]:
    finder = CutFinder()
    for image in images:
        finder.see(image)
    return finder.cuts().tolist()


def drift(count: int, start: float = 0.0, speed: float = 0.3) -> list[np.ndarray]:
    noise = np.random.default_rng(5)
    frames = [scene(start + speed * i + 0.2 * np.sin(i)) for i in range(count)]
    return [np.clip(f + noise.normal(0, 2, f.shape), 0, 255).astype(np.uint8) for f in frames]


def test_jump_cuts_of_the_same_scene_are_found() -> None:
    assert cuts_of(drift(20) + drift(25, start=9.0) + drift(15, start=-4.0)) == [20, 45]


def test_two_cuts_close_together() -> None:
    assert cuts_of(drift(20) + drift(3, start=25.0) + drift(20, start=-25.0)) == [20, 23]


@pytest.mark.parametrize("speed", [0.3, 3.0])
def test_motion_alone_is_no_cut(speed: float) -> None:
    assert cuts_of(drift(40, speed=speed)) == []


def test_a_sudden_start_of_motion_is_no_cut() -> None:
    still, moving = drift(15, speed=0.0), drift(15, speed=2.0)
    assert cuts_of(still + moving) == []


@pytest.mark.parametrize("length", [1, 2])
def test_a_flash_or_black_frame_is_no_cut(length: int) -> None:
    images = drift(40)
    for index in range(20, 20 + length):
        images[index] = np.full_like(images[0], 255)
    assert cuts_of(images) == []


def test_short_clips() -> None:
    assert cuts_of([]) == []
    assert cuts_of(drift(2)) == []
