"""Grain is measured as what is new in every image, and made as strong and as coarse."""

import cv2
import numpy as np
import pytest

from gtalk.dub.footage.compositor import FootageCompositor, Shot
from gtalk.dub.footage.grain import Grain, fine_level
from gtalk.dub.footage.paste import paste
from gtalk.media.output.writer import VideoWriter, WriteConfig
from gtalk.media.video import read_video
from gtalk.talk import View
from gtalk.types import AudioTrack
from tests.dub.footage.test_compositor import SIZE
from tests.support.toys import ToyAvatar, motion_of, speech_like, toy_character

EVERYWHERE = np.ones((200, 200), bool)


def scene() -> np.ndarray:
    """Smooth light with texture that stays where it is, grey levels."""
    rng = np.random.default_rng(5)
    light = np.linspace(80, 160, 200)[:, None] + np.zeros((200, 200))
    return light + cv2.GaussianBlur(rng.normal(0, 12, (200, 200)), (0, 0), 0.8)


def noisy(level: float, blur_px: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 1, (200, 200))
    if blur_px:
        noise = cv2.GaussianBlur(noise, (0, 0), blur_px)
    grey = scene() + level * noise / noise.std()
    return np.repeat(np.clip(np.rint(grey), 0, 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize(("level", "blur_px"), [(1.0, 0.0), (3.0, 0.0), (3.0, 0.7), (6.0, 1.0)])
def test_what_is_made_measures_as_what_was_seen(level, blur_px):
    pairs = [(noisy(level, blur_px, i), noisy(level, blur_px, 100 + i), EVERYWHERE) for i in range(3)]
    grain = Grain.learn(pairs)
    field = grain.field((200, 200), np.random.default_rng(0))
    assert field is not None and field.dtype == np.float32
    assert field.std() == pytest.approx(level, rel=0.15)
    near = np.corrcoef(field[:, 1:].ravel(), field[:, :-1].ravel())[0, 1]
    assert near == pytest.approx(np.exp(-1 / (4 * blur_px**2)) if blur_px else 0.0, abs=0.1)


def test_texture_that_stays_and_stills_are_no_grain():
    still = noisy(4.0, 0.0, 1)
    assert Grain.learn([(still, still, EVERYWHERE)]).field((50, 50), np.random.default_rng(0)) is None
    assert Grain.learn([]).level == 0.0
    assert Grain.learn([(still, still, np.zeros((200, 200), bool))]).level == 0.0


def test_a_few_pixels_that_move_do_not_count():
    first, second = noisy(2.0, 0.0, 1), noisy(2.0, 0.0, 2)
    second[80:120, 60:140] = 30  # a mouth that opened
    assert Grain.learn([(first, second, EVERYWHERE)]).level == pytest.approx(
        Grain.learn([(first, noisy(2.0, 0.0, 2), EVERYWHERE)]).level, rel=0.15
    )


def test_only_what_is_missing_of_the_grain_is_added():
    rng = np.random.default_rng(0)
    render = np.full((SIZE, SIZE, 3), 120, np.uint8)
    original = np.clip(120 + rng.normal(0, 5, (SIZE, SIZE, 1)), 0, 255).round().astype(np.uint8).repeat(3, axis=2)
    spoken = np.full_like(render, 90)
    motion = motion_of(np.full(1, 0.02))
    pose = motion.head_pose[0]
    points = ToyAvatar(SIZE).camera.project(motion.landmarks[0] @ pose[:3, :3].T + pose[:3, 3])
    full = np.full((SIZE, SIZE), 255, np.uint8)
    grain = rng.normal(0, 5, (SIZE, SIZE)).astype(np.float32)
    for weight in (0.0, 0.3, 0.7, 1.0):
        mask = np.full((SIZE, SIZE), weight, np.float32)
        plain = paste(original, render, spoken, full, mask, points)
        grained = paste(original, render, spoken, full, mask, points, grain)
        assert grained.std() == pytest.approx(5.0, rel=0.06)
        assert plain.std() == pytest.approx(5.0 * (1 - weight), abs=0.4)


def test_a_grained_shot_gets_its_grain_back_where_the_mouth_is_new(tmp_path):
    path = tmp_path / "shot.mp4"
    motion = motion_of(np.abs(np.sin(np.arange(16) / 3)) * 0.02, first=100)
    rng = np.random.default_rng(0)
    with VideoWriter(path, (SIZE, SIZE), 25.0, config=WriteConfig(crf=1)) as writer:
        for frame in toy_character(SIZE).talker().render_motion(motion):
            noise = rng.normal(0, 5, (SIZE, SIZE, 1))
            writer.write(np.clip(frame.rgb * 0.9 + noise, 0, 255).astype(np.uint8))
    shot = Shot(read_video(path, 25.0, retime=False), ToyAvatar(SIZE).camera, motion)
    talker = toy_character(SIZE).talker(view=View(background=None))
    sound = AudioTrack(speech_like(0.64, seed=4)).samples

    def dubbed() -> list[np.ndarray]:
        return [f.rgb for f in FootageCompositor(talker, shot, np.arange(16)).frames(talker.moments([sound]))]

    first, again, before = dubbed(), dubbed(), list(shot.images)
    np.testing.assert_array_equal(first, again)
    new = [(np.abs(a.astype(int) - b).max(axis=2) > 25) for a, b in zip(first, before, strict=True)]
    chosen = max(range(16), key=lambda i: int(new[i].sum()))
    inside = cv2.erode(new[chosen].astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    assert inside.sum() > 40, "the words differ, or nothing was tested"
    grey = [image.astype(np.float32).mean(axis=2) for image in (first[chosen], before[chosen])]
    after_level, before_level = (fine_level(one, inside) for one in grey)
    assert after_level == pytest.approx(before_level, rel=0.4)
