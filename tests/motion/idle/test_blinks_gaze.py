import numpy as np
import pytest

from gtalk.motion.idle.blinks_gaze import BLINK_BELOW, BlinkGazeModel, EyeStream, blink_frames

FPS = 25.0
CLOSING = np.array([0.8, 0.3, 0.0, 0.1, 0.4, 0.7, 0.9])


def eyes_with_blinks(starts: list[int], count: int) -> np.ndarray:
    eyes = np.ones((count, 2))
    for start in starts:
        eyes[start : start + len(CLOSING)] = CLOSING[:, None]
    return eyes


def fitted(rate_hz: float = 0.4, seconds: float = 90.0) -> BlinkGazeModel:
    rng = np.random.default_rng(0)
    count = int(seconds * FPS)
    starts = np.cumsum(rng.gamma(6.0, FPS / rate_hz / 6.0, 200)).astype(int)
    eyes = eyes_with_blinks([s for s in starts.tolist() if 10 < s < count - 20], count)
    gaze = np.repeat(rng.normal(size=(count // 25 + 1, 2)) * 0.05, 25, axis=0)[:count]
    pose = rng.normal(size=(count, 6)) * 0.001
    return BlinkGazeModel.fit(eyes, gaze, pose, [(0, count)], np.ones(count, bool), FPS)


def test_blinks_are_found_where_they_are_and_not_across_cuts() -> None:
    eyes = eyes_with_blinks([30, 60, 96], 140)
    valid = np.ones(140, bool)
    assert blink_frames(eyes, [(0, 140)], valid).tolist() == [32, 62, 98]
    assert blink_frames(eyes, [(0, 62), (62, 140)], valid).tolist() == [32, 98]
    valid[98] = False
    assert blink_frames(eyes, [(0, 140)], valid).tolist() == [32, 62]


@pytest.mark.parametrize("rate_hz", [0.2, 0.4, 0.7])
def test_half_an_hour_has_the_clips_rate_and_duration(rate_hz: float) -> None:
    life = fitted(rate_hz)
    assert life.blink_rate_hz == pytest.approx(rate_hz, rel=0.15)
    stream = EyeStream(life, FPS, seed=1)
    count = int(1800 * FPS)
    eyes, gaze = stream(np.zeros((count, 6)))
    shut = eyes.mean(1) < BLINK_BELOW
    blinks = int((shut[1:] & ~shut[:-1]).sum())
    assert blinks / 1800 == pytest.approx(life.blink_rate_hz, rel=0.1)
    assert shut.sum() / blinks == pytest.approx((CLOSING < BLINK_BELOW).sum(), abs=0.5)
    assert eyes.max() <= 1.0 and eyes.min() >= 0.0
    assert np.abs(gaze).max() < 0.3
    assert gaze.std() > 0.01


def test_no_loop_in_half_an_hour() -> None:
    eyes, _ = EyeStream(fitted(), FPS, seed=3)(np.zeros((45_000, 6)))
    closed = (1 - eyes.mean(1)) - (1 - eyes.mean(1)).mean()
    spectrum = np.abs(np.fft.rfft(closed, 1 << 17)) ** 2
    correlation = np.fft.irfft(spectrum)[: len(closed)]
    assert (correlation[250:40_000] / correlation[0]).max() < 0.25


def test_chunks_and_seeds() -> None:
    life = fitted()
    pose = np.random.default_rng(1).normal(size=(300, 6)) * 0.01
    whole = EyeStream(life, FPS, seed=7)(pose)
    stream = EyeStream(life, FPS, seed=7)
    parts = [stream(pose[a:b]) for a, b in ((0, 0), (0, 1), (1, 120), (120, 300))]
    for k in range(2):
        np.testing.assert_array_equal(np.concatenate([p[k] for p in parts]), whole[k])
    assert not np.array_equal(EyeStream(life, FPS, seed=8)(pose)[0], whole[0])


def test_a_clip_without_blinks_gets_usual_ones() -> None:
    count = 200
    still = np.zeros((count, 2))
    life = BlinkGazeModel.fit(still + 1.0, still, np.zeros((count, 6)), [(0, count)], np.ones(count, bool), FPS)
    eyes, _ = EyeStream(life, FPS, seed=0)(np.zeros((2500, 6)))
    assert 10 < (np.diff((eyes[:, 0] < 0.5).astype(int)) == 1).sum() < 50


def test_eyes_counter_the_head() -> None:
    rng = np.random.default_rng(2)
    pose = np.cumsum(rng.normal(size=(2000, 6)), axis=0) * [0.002] * 1
    pose -= pose.mean(0)
    gaze = -0.8 * pose[:, [1, 0]] + 0.003 * rng.normal(size=(2000, 2))
    life = BlinkGazeModel.fit(np.ones((2000, 2)), gaze, pose, [(0, 2000)], np.ones(2000, bool), FPS)
    np.testing.assert_allclose(life.gaze_of_head[1, 0], -0.8, atol=0.25)
    np.testing.assert_allclose(life.gaze_of_head[0, 1], -0.8, atol=0.25)
