from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from demo_person.clip import make_renderer, render_frame
from demo_person.speaking import speech, visemes
from demo_person.speaking.animation import perform
from demo_person.truth import Truth, load_truth
from gtalk.dataset.format import MaskClass
from gtalk.media.audio import read_audio, read_wav
from gtalk.media.video import read_video
from gtalk.topology import LANDMARKS68
from gtalk.types import OUTER_EYE_DISTANCE_M, VIDEO_FPS

DEMO = Path(__file__).parents[3] / "data" / "demo"
FIRST_FRAMES = (0, 20, 31, 47)  # at rest, and in the middle of the first words


@cache
def truth() -> Truth:
    return load_truth(DEMO)


@cache
def first_images() -> list[np.ndarray]:
    return list(itertools.islice(read_video(DEMO / "clip.mp4"), max(FIRST_FRAMES) + 1))


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b.astype(float)) ** 2)))


def test_the_script_renders_the_committed_clip() -> None:
    renderer = make_renderer()
    for index in FIRST_FRAMES:
        image, landmarks = render_frame(renderer, truth().performance, index)
        assert psnr(image.rgb, first_images()[index]) > 35
        np.testing.assert_allclose(landmarks, truth().landmarks478[index], atol=2e-5)
        kept = np.flatnonzero(truth().mask_frames == index)
        for k in kept:
            assert (image.label == truth().masks[k]).mean() > 0.9995


def test_voice_and_motion_are_reproduced() -> None:
    pytest.importorskip("espeakng_loader")
    said = speech.speak(speech.SENTENCES, speech.VOICE)
    heard = read_audio(DEMO / "clip.mp4").samples
    count = min(len(heard), len(said.samples))
    assert abs(len(heard) - len(truth().aperture) / VIDEO_FPS * 16000) < 1700
    assert np.corrcoef(heard[:count], said.samples[:count])[0, 1] > 0.98
    assert said.names[: len(truth().phonemes)] == truth().phonemes.tolist()
    again = perform(said, 10.0, VIDEO_FPS)
    for name in ("mouth", "smile", "gaze", "brows", "T_world_head", "T_world_torso", "blink"):
        expected = getattr(truth().performance, name)[: len(again)]
        np.testing.assert_allclose(getattr(again, name), expected, atol=2e-6, err_msg=name)
    # espeak-ng's state carries over from what was said before, so the order is that of the script.
    other = speech.speak(speech.OTHER_SENTENCES, speech.OTHER_VOICE, 0.5)
    np.testing.assert_allclose(read_wav(DEMO / "speech.wav").samples, other.samples, atol=1e-4)


def test_sizes() -> None:
    assert sum((DEMO / name).stat().st_size for name in ("clip.mp4", "truth.npz", "camera.json")) <= 8_000_000
    frames = len(truth().aperture)
    assert 60 * VIDEO_FPS <= frames <= 90 * VIDEO_FPS
    assert truth().landmarks478.shape == (frames, 478, 3)
    assert truth().landmarks68.shape == (frames, 68, 3)
    assert len(truth().masks) == len(truth().mask_frames) == len(range(0, frames, 10))


def test_truth_is_consistent() -> None:
    t = truth()
    rotation = t.T_world_head[:, :3, :3]
    np.testing.assert_allclose(
        rotation @ rotation.transpose(0, 2, 1), np.broadcast_to(np.eye(3), rotation.shape), atol=1e-5
    )
    assert (np.linalg.det(rotation) > 0).all()
    span = np.linalg.norm(t.landmarks478[:, 33] - t.landmarks478[:, 263], axis=1)
    np.testing.assert_allclose(span, OUTER_EYE_DISTANCE_M, atol=0.0015)
    points = t.points_px
    assert (points > 0).all() and (points < 512).all()
    gap = np.maximum(t.landmarks478[:, 13, 1] - t.landmarks478[:, 14, 1], 0)
    np.testing.assert_allclose(t.aperture, gap, atol=1e-6)
    yaw = np.degrees(np.arctan2(rotation[:, 0, 2], rotation[:, 2, 2]))
    assert np.abs(yaw).max() <= 15.5 and np.ptp(yaw) > 15


def test_masks_agree_with_landmarks() -> None:
    points = truth().points_px
    for frame, mask in zip(truth().mask_frames[::20], truth().masks[::20], strict=True):
        assert set(np.unique(mask)) >= {
            MaskClass.BACKGROUND,
            MaskClass.HEAD,
            MaskClass.NECK,
            MaskClass.TORSO,
            MaskClass.LIPS,
        }
        x, y = points[frame, LANDMARKS68].astype(int).T
        assert (mask[y, x] != MaskClass.BACKGROUND).mean() > 0.85  # the outline may fall on either side
        lips_y, lips_x = np.nonzero(mask == MaskClass.LIPS)
        outer = points[frame, LANDMARKS68[48:60]]
        assert np.abs([lips_x.min() - outer[:, 0].min(), lips_x.max() - outer[:, 0].max()]).max() < 4
        assert np.abs([lips_y.min() - outer[:, 1].min(), lips_y.max() - outer[:, 1].max()]).max() < 4


def test_blinks_are_natural() -> None:
    shut = truth().eyes.mean(1) < 0.5
    starts = np.flatnonzero(shut[1:] & ~shut[:-1])
    minutes = len(shut) / VIDEO_FPS / 60
    assert 12 <= len(starts) / minutes <= 22
    wide = truth().eyes.mean(1) < 0.75
    begins, ends = np.flatnonzero(wide[1:] & ~wide[:-1]), np.flatnonzero(~wide[1:] & wide[:-1])
    length = ends[: len(begins)] - begins[: len(ends)]
    assert length.min() >= 2 and length.max() <= 6


def test_the_mouth_moves_with_the_words() -> None:
    t = truth()
    middle = np.round((t.phoneme_starts_s + t.phoneme_ends_s) / 2 * VIDEO_FPS).astype(int).clip(0, len(t.aperture) - 1)
    kind = [visemes.segments(name)[0] for name in t.phonemes]
    closed = t.aperture[middle[[k[1] == "p" for k in kind]]]
    open_ = t.aperture[middle[[k[1] in ("a", "A") for k in kind]]]
    assert len(closed) > 20 and len(open_) > 10
    assert np.median(closed) < 0.0003 and np.quantile(closed, 0.95) < 0.001
    assert np.median(open_) > 0.004
    long_pause = (t.phoneme_ends_s - t.phoneme_starts_s > 0.6) & (t.phonemes == "_")
    assert long_pause.sum() >= 3
    assert t.aperture[middle[long_pause]].max() < 0.0003


def test_every_phoneme_has_a_shape() -> None:
    for name in set(truth().phonemes.tolist()):
        for kind, target in visemes.segments(name):
            assert kind == "pause" or target in visemes.VOWELS or target in visemes.CONSONANTS
    assert visemes.segments("aI") == [("vowel", "a"), ("vowel", "I")]
    assert visemes.segments("tS") == [("consonant", "t"), ("consonant", "S")]
    assert visemes.segments("m") == [("consonant", "p")]
