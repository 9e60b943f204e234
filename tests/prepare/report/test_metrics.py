from dataclasses import replace

import numpy as np
import pytest

from gtalk.prepare.report.metrics import (
    Image,
    Movement,
    Sound,
    head_angles,
    judge,
    judge_images,
    judge_movement,
    judge_sound,
    spans,
)
from gtalk.topology import FACE_OVAL
from gtalk.types import Motion
from tests.support.toys import motion_of

HIDDEN_MOUTH = {"masks": {"mouth_hidden_spans": [(10, 35)]}}
LATE_SOUND = {"sync": {"clips": [{"name": "a.mp4", "corrected_s": 0.1, "words": "the sound came 100 ms late"}]}}
GOOD_SOUND = Sound(-22.0, -60.0, 0.3, 0.0)
GOOD_IMAGE = Image(260.0, 120.0, 0.0, 0.0, 0.0)
GOOD_MOVEMENT = Movement(120.0, 0.0, [], (-10.0, 10.0), (-5.0, 5.0), (-5.0, 5.0), (0.5, 12.0), 0.3, 15.0, 0.5)


def speech(seconds: float = 8.0, level: float = 0.1) -> np.ndarray:
    """Half-second bursts with half-second pauses over faint noise."""
    t = np.arange(int(seconds * 16_000)) / 16_000
    on = (t % 1.0) < 0.5
    noise = np.random.default_rng(0).standard_normal(len(t))
    return (level * on * np.sin(2 * np.pi * 180 * t) + 0.0005 * noise).astype(np.float32)


def test_speech_and_silence_are_told_apart() -> None:
    sound, active = judge_sound(speech())
    assert sound.silence_share == pytest.approx(0.5, abs=0.05)
    assert sound.level_dbfs == pytest.approx(20 * np.log10(0.1 / np.sqrt(2)), abs=1.0)
    assert sound.noise_dbfs is not None and sound.noise_dbfs < -60
    assert active[10:45].all() and not active[60:95].any()


def test_silence_clipping_and_nothing() -> None:
    assert judge_sound(np.zeros(16_000, np.float32))[0].level_dbfs is None
    assert judge_sound(np.zeros(3, np.float32))[0].silence_share == 1.0
    loud = np.clip(speech(level=3.0), -1, 1)
    assert judge_sound(loud)[0].clipped_share > 0.1


def test_blur_and_exposure() -> None:
    rng = np.random.default_rng(0)
    points = np.zeros((478, 2))
    points[FACE_OVAL] = 60 + 40 * np.stack([np.cos(np.arange(36) / 5.7), np.sin(np.arange(36) / 5.7)], 1)
    sharp = rng.integers(60, 190, (120, 120, 3), dtype=np.uint8)
    soft = np.full((120, 120, 3), 128, np.uint8)
    image = judge_images([(sharp, points)] * 3 + [(soft, points)])
    assert image.face_height_px == pytest.approx(80, abs=2)
    assert image.sharpness > 100
    assert image.blurred_share == 0.25
    assert judge_images([(np.full_like(sharp, 255), points)]).over_share == 1.0
    assert judge_images([]).face_height_px == 0.0


def test_a_light_switch_and_a_drifting_exposure_are_told() -> None:
    rng = np.random.default_rng(0)
    points = np.zeros((478, 2))
    points[FACE_OVAL] = 60 + 40 * np.stack([np.cos(np.arange(36) / 5.7), np.sin(np.arange(36) / 5.7)], 1)
    face = rng.integers(60, 160, (120, 120, 3)).astype(float)

    def told(gains: np.ndarray) -> str:
        image = judge_images([((face * gain).astype(np.uint8), points) for gain in gains])
        return " ".join(
            judge(
                GOOD_SOUND,
                replace(GOOD_IMAGE, light_step=image.light_step, light_drift=image.light_drift),
                GOOD_MOVEMENT,
                {},
            ).problems
        )

    assert "changes by 40%" in told(np.where(np.arange(20) < 12, 1.0, 1.4))
    assert "drifts by" in told(np.linspace(1.0, 1.4, 30))
    assert told(np.ones(20)) == "" == told(np.array([1.0] * 10 + [1.5] + [1.0] * 10))


def test_a_face_that_is_turned_aside_throughout_is_told() -> None:
    aside = judge(GOOD_SOUND, GOOD_IMAGE, replace(GOOD_MOVEMENT, yaw_deg=(-33.0, -20.0)), {})
    assert aside.word == "usable" and "turned aside by 20 degrees" in aside.problems[0]
    profile = judge(GOOD_SOUND, GOOD_IMAGE, replace(GOOD_MOVEMENT, yaw_deg=(55.0, 80.0)), {})
    assert profile.word == "poor" and "55 degrees" in profile.problems[0]


def test_movement() -> None:
    motion = motion_of(0.010 * (np.arange(200) % 10 < 5))
    valid = np.ones(200, bool)
    valid[50:60] = False
    moved = judge_movement(
        Motion(25.0, motion.landmarks, motion.eyes, motion.gaze, motion.brows, motion.head_pose, valid), 0.4
    )
    assert moved.faceless_spans == [(50, 60)]
    assert moved.faceless_share == 0.05
    assert moved.yaw_deg[0] < -6 and moved.yaw_deg[1] > 6
    assert moved.blinks_per_min == pytest.approx(60 * 3 / 8, abs=8)
    assert moved.closed_share == pytest.approx(0.5, abs=0.05)


def test_angles_and_spans() -> None:
    pose = np.tile(np.eye(4), (1, 1, 1))
    yaw = 0.3
    pose[0, :3, :3] = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
    assert np.allclose(head_angles(pose), [[0.3, 0, 0]])
    assert spans(np.array([True, False, True, True])) == [(0, 1), (2, 4)]
    assert spans(np.zeros(0, bool)) == []


@pytest.mark.parametrize(
    ("change", "word", "problem"),
    [
        ({}, "good", ""),
        ({"sound": Sound(None, -80.0, 1.0, 0.0)}, "poor", "no sound"),
        ({"sound": Sound(-22.0, -60.0, 0.02, 0.0)}, "usable", "2 s of silence"),
        ({"sound": Sound(-22.0, -60.0, 0.3, 0.02)}, "usable", "clipped"),
        ({"sound": Sound(-22.0, -30.0, 0.3, 0.0)}, "usable", "noise"),
        ({"image": Image(50.0, 120.0, 0.0, 0.0, 0.0)}, "poor", "50 px"),
        ({"image": Image(260.0, 4.0, 0.0, 0.0, 0.0)}, "usable", "soft"),
        ({"image": Image(260.0, 120.0, 0.0, 0.2, 0.0)}, "usable", "burnt out"),
        ({"facts": {"background": {"moving_share": 0.3}}}, "usable", "background moves"),
        ({"facts": HIDDEN_MOUTH}, "usable", "before the mouth in 25 frames (0.4 to 1.4 s)"),
        ({"facts": LATE_SOUND}, "usable", "a.mp4: the sound came 100 ms late"),
        ({"movement": replace(GOOD_MOVEMENT, yaw_deg=(-2.0, 3.0))}, "usable", "over 5 degrees only"),
        ({"facts": {"landmarks": {"frames_with_other_faces": 9}}}, "usable", "another face in 9"),
    ],
)
def test_verdict(change: dict, word: str, problem: str) -> None:
    verdict = judge(
        change.get("sound", GOOD_SOUND),
        change.get("image", GOOD_IMAGE),
        change.get("movement", GOOD_MOVEMENT),
        change.get("facts", {}),
    )
    assert verdict.word == word
    assert not problem or any(problem in text for text in verdict.problems)
    assert bool(verdict.problems) == bool(problem)
