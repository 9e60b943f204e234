import numpy as np
import pytest

from gtalk.motion.idle.head_motion import N_VALUES, VOICE_ROWS, Sway, SwayStream, soft_limited, voice_columns

WIDTH = 3 * len(VOICE_ROWS)


def clip(count: int = 6000, seed: int = 0) -> np.ndarray:
    """A resonant random process in eight mixed channels."""
    rng = np.random.default_rng(seed)
    values = np.zeros((count, N_VALUES))
    for t in range(2, count):
        values[t] = 1.8 * values[t - 1] - 0.85 * values[t - 2] + rng.normal(size=N_VALUES)
    mixing = np.random.default_rng(9).normal(size=(N_VALUES, N_VALUES)) * 0.002
    return values @ mixing + np.arange(N_VALUES) * 0.01


def fitted(values: np.ndarray) -> Sway:
    count = len(values)
    voice, activity = np.zeros((count, WIDTH)), np.ones(count)
    return Sway.fit(values, voice, activity, [(0, count)], np.ones(count, bool))


def run(sway: Sway, frames: int, seed: int = 0) -> np.ndarray:
    return SwayStream(sway, seed)(np.zeros((frames, WIDTH)), np.ones(frames))


def test_spread_speed_and_spectrum_are_the_clips() -> None:
    values = clip()
    out = run(fitted(values), 45_000)
    np.testing.assert_allclose(out.std(0), values.std(0), rtol=0.15)
    np.testing.assert_allclose(np.diff(out, axis=0).std(0), np.diff(values, axis=0).std(0), rtol=0.15)
    np.testing.assert_allclose(out.mean(0), values.mean(0), atol=0.1 * values.std(0).max())

    def bands(x: np.ndarray) -> np.ndarray:
        x = x[: len(x) // 500 * 500].reshape(-1, 500, N_VALUES) * np.hanning(500)[None, :, None]
        power = (np.abs(np.fft.rfft(x, axis=1)) ** 2).mean((0, 2))
        return np.log10(np.add.reduceat(power, [3, 10, 20, 40, 80, 160])[:-1])

    np.testing.assert_allclose(bands(out - out.mean(0)), bands(values - values.mean(0)), atol=0.12)


def test_slow_sway_in_short_shots_does_not_tremble() -> None:
    rng = np.random.default_rng(4)
    values = np.zeros((1600, N_VALUES))
    for t in range(2, 1600):
        values[t] = 1.97 * values[t - 1] - 0.9715 * values[t - 2] + rng.normal(size=N_VALUES)
    values = values @ np.array([np.roll([1.0, 0.5, 0, 0, 0, 0, 0, 0], i) for i in range(N_VALUES)]) * 1e-3
    values[:, 3] += 4.0 * np.concatenate([[values[0, 0]], values[:-1, 0]])  # what follows something else a step later
    runs = [(0, 180), (180, 700), (700, 950), (950, 1430), (1430, 1600)]
    sway = Sway.fit(values, np.zeros((1600, WIDTH)), np.ones(1600), runs, np.ones(1600, bool))
    speed = np.abs(np.concatenate([np.diff(values[a:b], axis=0) for a, b in runs])).mean(0)
    np.testing.assert_allclose(np.abs(np.diff(run(sway, 30_000), axis=0)).mean(0), speed, rtol=0.15)


def test_never_outside_the_seen_range_and_never_a_loop() -> None:
    values = clip(1500)
    out = run(fitted(values), 45_000, seed=5)
    deviation = values - values.mean(0)
    assert (out <= values.mean(0) + deviation.max(0)).all()
    assert (out >= values.mean(0) + deviation.min(0)).all()
    first = out[:, 0] - out[:, 0].mean()
    correlation = np.fft.irfft(np.abs(np.fft.rfft(first, 1 << 17)) ** 2)[: len(first)]
    assert (correlation[1500:40_000] / correlation[0]).max() < 0.3


def test_chunks_do_not_matter_and_seeds_do() -> None:
    sway = fitted(clip(1500))
    rng = np.random.default_rng(0)
    voice, activity = rng.normal(size=(100, WIDTH)), rng.uniform(size=100)
    stream = SwayStream(sway, 3)
    parts = [stream(voice[a:b], activity[a:b]) for a, b in ((0, 1), (1, 1), (1, 60), (60, 100))]
    np.testing.assert_allclose(np.concatenate(parts), SwayStream(sway, 3)(voice, activity), atol=1e-12)
    assert np.abs(run(sway, 50, 1) - run(sway, 50, 2)).max() > 1e-4


def test_what_the_voice_explains_is_learned_and_noise_is_not() -> None:
    rng = np.random.default_rng(1)
    values = clip(3000)
    voice = rng.normal(size=(3000, WIDTH))
    mixed = values.copy()
    mixed[:, 1] += 0.04 * voice[:, 4]
    count, ones = 3000, np.ones(3000)
    driven = Sway.fit(mixed, voice, ones, [(0, count)], np.ones(count, bool))
    effect = (voice @ driven.voice @ driven.mixing)[:, 1]
    assert np.corrcoef(effect, voice[:, 4])[0, 1] > 0.9
    idle = Sway.fit(values, voice, ones, [(0, count)], np.ones(count, bool))
    assert (voice @ idle.voice).std() < 0.25


def test_pauses_are_calmer() -> None:
    values = clip(3000)
    activity = np.ones(3000)
    activity[1000:2000] = 0.0
    values[1000:2000] = values[1000] + 0.5 * (values[1000:2000] - values[1000])
    sway = Sway.fit(values, np.zeros((3000, WIDTH)), activity, [(0, 3000)], np.ones(3000, bool))
    assert sway.calm == pytest.approx(0.5, abs=0.15)
    still = SwayStream(sway, 0)(np.zeros((5000, WIDTH)), np.zeros(5000))
    assert still.std() < 0.8 * run(sway, 5000).std()


def test_soft_limit_is_smooth_and_leaves_the_middle_alone() -> None:
    low, high = np.array([-1.0]), np.array([2.0])
    x = np.linspace(-5, 5, 2001)[:, None]
    y = soft_limited(x, low, high)
    middle = (x > -0.8) & (x < 1.6)
    np.testing.assert_array_equal(y[middle], x[middle])
    assert (y >= -1).all() and (y <= 2).all() and (np.diff(y[:, 0]) >= 0).all()
    assert np.abs(np.diff(y[:, 0], 2)).max() < 0.001


def test_columns_stop_at_the_ends() -> None:
    rows = np.arange(300.0).reshape(100, 3)
    columns = voice_columns(rows, 0, 25)
    assert columns.shape == (25, WIDTH)
    np.testing.assert_array_equal(columns[0, :3], rows[0])
    np.testing.assert_array_equal(columns[20].reshape(-1, 3)[:, 0] / 3, 80 + np.array(VOICE_ROWS))
