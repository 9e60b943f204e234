"""Drifts of exposure and white balance with exact truth, on the demo clip and through a real codec."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np

from demo_person.truth import Truth, load_truth
from gtalk.dataset.steady import evened
from gtalk.media.output.writer import write_video
from gtalk.media.video import read_video
from gtalk.prepare.surroundings.light import Light, find_light, thumbnail

DEMO = Path(__file__).resolve().parents[3] / "data" / "demo"
FRAMES, SIDE = 150, 256


@cache
def demo() -> tuple[list[np.ndarray], Truth]:
    """(the clip's first frames, its truth)."""
    reader = read_video(DEMO / "clip.mp4", max_size=SIDE)
    return list(reader.read(0, FRAMES)), load_truth(DEMO)


def drift() -> np.ndarray:
    """[T,3] an exposure that breathes by 25 % and a white balance that goes from cold to warm."""
    t = np.arange(FRAMES) / 25
    exposure = 0.88 * (1 + 0.12 * np.sin(2 * np.pi * 0.4 * t))
    return exposure[:, None] * np.stack([1 + 0.012 * t, np.ones(FRAMES), 1 - 0.014 * t], 1)


def found(images: list[np.ndarray]) -> Light:
    points = demo()[1].points_px[: len(images)] * (SIDE / demo()[1].camera.width)
    return find_light(map(thumbnail, images), points, np.ones(len(images), bool), (SIDE, SIDE))


def left_over(light: Light, true: np.ndarray) -> np.ndarray:
    """[T,3] what drifts after the frames were evened out, as a share."""
    product = light.gain * true
    return product / np.median(product, axis=0) - 1


def test_a_drift_is_found_and_taken_off(tmp_path: Path) -> None:
    true = drift()
    drifting = [evened(image, gain) for image, gain in zip(demo()[0], true, strict=True)]
    seen = list(read_video(write_video(tmp_path / "a.mp4", drifting, 25) or tmp_path / "a.mp4"))
    light = found(seen)
    assert light.seen_on == "room"
    assert np.abs(left_over(light, true)).max() < 0.02 and np.abs(left_over(light, true)).mean() < 0.006
    assert "exposure drifts by 2" in light.note and "white balance" in light.note
    # The pictures themselves: as the clip, but for one gain that is the same in all of them.
    usual = np.median(light.gain * true, axis=0)
    before, after = [], []
    for index in range(0, FRAMES, 10):
        wanted = evened(demo()[0][index], usual).astype(float)
        before.append(np.abs(evened(drifting[index], usual / np.median(true, axis=0)) - wanted).mean())
        after.append(np.abs(evened(seen[index], light.gain[index]) - wanted).mean())
    assert np.mean(after) < 2.0 and np.mean(before) > 3 * np.mean(after)


def test_a_locked_exposure_is_left_alone() -> None:
    light = found(demo()[0])
    assert light.seen_on == "nothing" and light.note == ""
    assert (light.gain == 1.0).all()
    assert evened(demo()[0][0], light.gain[0]) is demo()[0][0]


def test_a_lamp_in_the_room_is_part_of_the_picture() -> None:
    """The room flickers, the person's light does not."""
    truth = demo()[1]
    images = []
    for index, image in enumerate(demo()[0]):
        points = truth.points_px[index] * (SIDE / truth.camera.width)
        person = np.zeros(image.shape[:2], bool)
        low, high = points.min(0), points.max(0)
        person[int(low[1] - 40) :, int(low[0] - 20) : int(high[0] + 20)] = True
        dimmed = evened(image, np.full(3, 1 - 0.12 * (1 + np.sin(index / 9))))
        images.append(np.where(person[..., None], image, dimmed))
    light = found(images)
    assert light.not_everywhere and (light.gain == 1.0).all()
    assert "does not follow" in light.note


def test_without_a_still_room_the_face_tells_what_is_large_and_slow() -> None:
    blobs = np.random.default_rng(0).integers(40, 220, (8, 40, 3), dtype=np.uint8)
    street = cv2.resize(blobs, (5 * SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    truth, true = demo()[1], np.repeat(np.linspace(0.7, 1.1, FRAMES)[:, None], 3, 1)
    images = []
    for index, image in enumerate(demo()[0]):
        points = truth.points_px[index] * (SIDE / truth.camera.width)
        low, high = points.min(0).astype(int), points.max(0).astype(int)
        alive = street[:, 6 * index : 6 * index + SIDE].copy()
        alive[low[1] : high[1], low[0] : high[0]] = image[low[1] : high[1], low[0] : high[0]]
        images.append(evened(alive, true[index]))
    light = found(images)
    assert light.seen_on == "face"
    middle = slice(20, -20)
    assert np.abs(left_over(light, true)[middle]).max() < 0.07
