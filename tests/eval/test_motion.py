import numpy as np
import pytest

from gtalk.basis import LIPS
from gtalk.eval import motion as measures
from gtalk.types import Motion
from tests.support.toys import motion_of, speech_like


def talking(frames: int = 200, seed: int = 0) -> Motion:
    steps = np.random.default_rng(seed).normal(size=frames)
    smooth = np.convolve(steps, np.hanning(9) / 4, mode="same")
    return motion_of(np.clip(0.01 + 0.006 * smooth, 0, None))


TRUTH = talking()


def moved(motion: Motion, landmarks: np.ndarray) -> Motion:
    return motion.replace(landmarks=landmarks)


def test_distance_is_in_per_cent_of_the_eyes_and_ignores_shifts() -> None:
    assert measures.lmd(TRUTH, TRUTH) == 0.0
    shifted = TRUTH.landmarks.copy()
    shifted[:, LIPS] += [0.01, -0.02, 0.05]
    assert measures.lmd(moved(TRUTH, shifted), TRUTH) < 1e-9
    wider = TRUTH.landmarks.copy()
    wider[:, LIPS, 0] += 0.0009 * np.sign(np.arange(20) % 2 - 0.5)
    assert measures.lmd(moved(TRUTH, wider), TRUTH) == pytest.approx(1.0, rel=1e-6)


def test_ratio_is_one_for_a_still_mouth_and_invalid_frames_do_not_count() -> None:
    mean = TRUTH.landmarks.mean(0)
    still = moved(TRUTH, np.repeat(mean[None], len(TRUTH), 0))
    assert measures.lmd_ratio(still, TRUTH, mean) == pytest.approx(1.0)
    assert measures.lmd_ratio(TRUTH, TRUTH, mean) == 0.0
    junk = TRUTH.landmarks.copy()
    junk[:50, 60:64] += 1.0
    valid = np.arange(len(TRUTH)) >= 50
    assert measures.lmd(moved(TRUTH, junk), TRUTH.replace(valid=valid)) == 0.0


def test_pixels() -> None:
    points = np.random.default_rng(0).uniform(0, 100, (5, 20, 2))
    assert measures.lmd_px(points + np.array([3.0, -4.0]), points) < 1e-9
    moved_points = points.copy()
    moved_points[:, ::2, 0] += 2.0
    assert measures.lmd_px(moved_points, points) == pytest.approx(1.0)


def test_aperture_and_its_correlation() -> None:
    opening = np.linspace(0, 0.02, 50)
    inner = np.sin(np.linspace(np.pi, -np.pi, 8, endpoint=False))  # landmarks 60 to 67 of the toy mouth
    share = (inner[[1, 2, 3]] - inner[[7, 6, 5]]).mean() / 2
    np.testing.assert_allclose(measures.aperture(motion_of(opening)), opening * share, atol=1e-12)
    assert measures.aperture_correlation(TRUTH, TRUTH) == pytest.approx(1.0)
    upside = motion_of(0.03 - np.clip(measures.aperture(TRUTH), 0, 0.03))
    assert measures.aperture_correlation(upside, TRUTH) == pytest.approx(-1.0, abs=1e-6)
    assert np.isnan(measures.aperture_correlation(motion_of(np.full(200, 0.01)), TRUTH))


@pytest.mark.parametrize("lag", [-7, 0, 1, 12])
def test_offset_is_found_with_its_sign(lag: int) -> None:
    late = moved(TRUTH, np.roll(TRUTH.landmarks, lag, axis=0))
    assert measures.av_offset_frames(late, TRUTH) == pytest.approx(lag, abs=0.1)


def test_offset_is_found_to_a_fraction_of_a_frame() -> None:
    opening = measures.aperture(TRUTH)
    times = np.arange(len(opening))
    between = motion_of(np.interp(times - 0.5, times, opening) / 0.75)
    assert measures.av_offset_frames(between, TRUTH) == pytest.approx(0.5, abs=0.15)


def test_closures_amid_speech_are_found_and_compared() -> None:
    opening = np.full(100, 0.012)
    opening[[0, 1, 2, 3]] = 0.0  # nothing was open before
    opening[20:23], opening[50:70], opening[80:82] = 0.0, 0.0, 0.0003  # p, a pause, m
    truth = motion_of(opening)
    assert measures.closures(truth) == [(20, 23), (80, 82)]
    speaker = measures.MouthRange.of(truth)
    np.testing.assert_allclose(measures.closure_openness(truth, truth, speaker), [0.0, 0.025], atol=1e-6)
    lazy = motion_of(np.maximum(opening, 0.006))
    np.testing.assert_allclose(measures.closure_openness(lazy, truth, speaker), 0.5, atol=1e-6)
    assert measures.closures(truth.replace(valid=np.arange(100) > 30)) == [(80, 82)]


def test_offset_to_sound() -> None:
    sound = speech_like(30.0)
    loud = measures.loudness_db(sound, 750, 25.0)
    mouth = motion_of(np.clip(loud + 60.0, 0, None) * 2e-4)
    late = moved(mouth, np.roll(mouth.landmarks, 3, axis=0))
    assert measures.av_offset_to_sound_frames(mouth, sound) == pytest.approx(0.0, abs=0.3)
    assert measures.av_offset_to_sound_frames(late, sound) == pytest.approx(3.0, abs=0.3)


def test_silence_needs_time_to_settle() -> None:
    sound = np.zeros(16_000 * 4, np.float32)
    sound[:32_000] = 0.1 * np.sin(np.arange(32_000))
    silent = measures.silent_frames(sound, 100, 25.0)
    assert not silent[:54].any()
    assert silent[56:99].all()


def test_leakage_counts_moving_lips_in_silence_only() -> None:
    sound = np.zeros(16_000 * 8, np.float32)
    sound[:64_000] = 0.1 * np.sin(np.arange(64_000))
    opening = 0.01 + 0.008 * np.sin(np.arange(200.0))
    calm = np.where(np.arange(200) < 104, opening, 0.0)
    assert measures.silence_leakage(motion_of(calm), sound) == 0.0
    assert measures.silence_leakage(motion_of(opening), sound) > 0.7
    # Who moves as much in silence as the person does, leaks nothing.
    own = measures.silent_speed_m(motion_of(opening), sound)
    assert measures.silence_leakage(motion_of(opening), sound, own) < 0.03
    assert np.isnan(measures.silence_leakage(motion_of(opening[:50]), sound[:32_000]))


def test_jitter_and_amplitude_are_ratios_to_the_truth() -> None:
    noise = np.random.default_rng(1).normal(size=TRUTH.landmarks.shape) * 0.001
    assert measures.jitter_ratio(TRUTH, TRUTH) == pytest.approx(1.0)
    assert measures.jitter_ratio(moved(TRUTH, TRUTH.landmarks + noise), TRUTH) > 1.3
    half = motion_of(0.5 * 0.01 + 0.0 * np.arange(200))
    assert measures.amplitude_ratio(half, TRUTH) < 1e-6
    mean = TRUTH.landmarks.mean(0)
    assert measures.amplitude_ratio(moved(TRUTH, mean + 1.5 * (TRUTH.landmarks - mean)), TRUTH) == pytest.approx(1.5)
