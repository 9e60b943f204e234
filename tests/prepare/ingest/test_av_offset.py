"""The offset between sound and lips, on the demo person whose true landmarks are known."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from demo_person.truth import load_truth
from gtalk.errors import UserError
from gtalk.media.audio import read_audio
from gtalk.prepare.ingest.av_offset import TOLERANCE_S, Offset, find_offset, find_parts
from gtalk.prepare.ingest.sync import advanced, check_av_offset, describe
from gtalk.types import AUDIO_RATE

DEMO = Path(__file__).parents[3] / "data" / "demo"
FPS, SECONDS = 25.0, 20


@cache
def talking() -> tuple[np.ndarray, np.ndarray]:
    """(true landmarks in pixels, sound) of the first 20 s, with a detector's noise of 0.3 px."""
    points = load_truth(DEMO).points_px[: int(SECONDS * FPS)]
    noise = np.random.default_rng(0).normal(0, 0.3, points.shape)
    return (points + noise).astype(np.float32), read_audio(DEMO / "clip.mp4").samples[: SECONDS * AUDIO_RATE]


def found(points: np.ndarray, samples: np.ndarray, cuts: tuple[int, ...] = ()) -> Offset | None:
    return find_offset(points, np.ones(len(points), bool), samples, FPS, cuts)


@pytest.mark.parametrize("late_s", [-0.24, -0.1, 0.0, 0.06, 0.24])
def test_known_offsets_are_recovered(late_s: float) -> None:
    points, samples = talking()
    offset = found(points, advanced(samples, -late_s))
    assert offset is not None and offset.sure
    assert abs(offset.late_s - late_s) <= TOLERANCE_S
    assert offset.correction_s == (offset.late_s if abs(offset.late_s) > offset.limit_s else 0.0)
    assert TOLERANCE_S < offset.limit_s < 0.08


def test_sound_that_belongs_to_other_lips_is_left_alone() -> None:
    points, samples = talking()
    other = read_audio(DEMO / "speech.wav").samples
    offset = found(points, np.resize(other, len(samples)))
    assert offset is not None and not offset.sure
    assert offset.correction_s == 0.0


def test_cuts_and_faceless_frames_do_not_disturb() -> None:
    points, samples = talking()
    points, valid = points.copy(), np.ones(len(points), bool)
    points[200:] += 40.0  # the shot changes
    points[300:330], valid[300:330] = 0.0, False
    offset = find_offset(points, valid, advanced(samples, -0.15), FPS, (200,))
    assert offset is not None and offset.sure
    assert abs(offset.late_s - 0.15) <= TOLERANCE_S


def test_too_little_to_tell() -> None:
    points, samples = talking()
    assert found(points[:100], samples[: 4 * AUDIO_RATE]) is None
    assert found(points, np.zeros_like(samples)) is None
    assert find_offset(points, np.zeros(len(points), bool), samples, FPS) is None
    still = np.repeat(points[:1], len(points), axis=0)
    offset = found(still, samples)
    assert offset is None or not offset.sure


def test_sound_is_moved_and_keeps_its_length() -> None:
    samples = np.arange(1, AUDIO_RATE + 1, dtype=np.float32)
    early, late = advanced(samples, 0.25), advanced(samples, -0.25)
    assert len(early) == len(late) == AUDIO_RATE
    assert early[0] == 4001 and not early[-4000:].any()
    assert late[4000] == 1 and not late[:4000].any()
    assert np.array_equal(advanced(samples, 0.0), samples)
    assert not advanced(samples[:100], 0.25).any() and len(advanced(samples[:100], 0.25)) == 100


@pytest.mark.parametrize("value", [3.0, -2.5, float("nan"), float("inf")])
def test_impossible_offsets_are_refused(value: float) -> None:
    with pytest.raises(UserError, match="--av-offset"):
        check_av_offset(value)
    assert check_av_offset("auto") == "auto"
    assert check_av_offset(-0.2) == -0.2


def test_what_is_said() -> None:
    late = Offset(0.12, 0.3, 0.01, 1.0)
    assert describe("a.mp4", True, "auto", late)["words"] == "the sound came 120 ms late: corrected (confidence 100%)"
    assert describe("a.mp4", True, "auto", late)["corrected_s"] == 0.12
    assert "in time" in str(describe("a.mp4", True, "auto", Offset(0.02, 0.3, 0.01, 1.0))["words"])
    unsure = describe("a.mp4", True, "auto", Offset(0.3, 0.01, 0.01, 0.0))
    assert "could not tell" in str(unsure["words"]) and unsure["corrected_s"] == 0.0
    assert describe("a.mp4", True, 0.08, None)["corrected_s"] == 0.08
    assert describe("a.mp4", False, "auto", None)["corrected_s"] == 0.0


def test_a_clip_of_parts_that_are_off_differently_is_split_where_they_meet() -> None:
    points, samples = talking()
    half = len(samples) // 2
    late = np.concatenate([samples[:half], advanced(samples[half:], -0.16)])
    frames = len(points)
    parts = find_parts(points, np.ones(frames, bool), late, FPS, (frames // 2,))
    assert [part[:2] for part in parts] == [(0, frames // 2), (frames // 2, frames)]
    assert all(offset is not None and offset.sure for _, _, offset in parts)
    assert abs(parts[0][2].late_s) < TOLERANCE_S + 0.01 and abs(parts[1][2].late_s - 0.16) < TOLERANCE_S + 0.01
    assert find_parts(points, np.ones(frames, bool), samples, FPS, (frames // 2,))[0][:2] == (0, frames)


def test_twelve_seconds_of_a_clip_in_time_are_left_alone() -> None:
    truth, samples = load_truth(DEMO), read_audio(DEMO / "clip.mp4").samples
    for start in (0, 40):
        points = truth.points_px[round(start * FPS) : round((start + 12) * FPS)]
        noise = np.random.default_rng(start).normal(0, 0.3, points.shape)
        own = samples[start * AUDIO_RATE : (start + 12) * AUDIO_RATE]
        offset = found((points + noise).astype(np.float32), own)
        assert offset is None or offset.correction_s == 0.0
