import numpy as np
import pytest

from gtalk.motion.training.augment import AugmentConfig, augmented, equalised, resampled, with_noise, with_room
from tests.speech.voices import harmonic, vowel

RNG = np.random.default_rng


def spectrum_db(x: np.ndarray, hz: float) -> float:
    window = x[2000:14_000] * np.hanning(12_000)
    return float(20 * np.log10(np.abs(np.fft.rfft(window)[round(hz * 12_000 / 16_000)]) + 1e-12))


def test_speed_changes_length_and_pitch_together() -> None:
    tone = np.sin(2 * np.pi * 200 * np.arange(16_000) / 16_000).astype(np.float32)
    faster = resampled(tone, 1.1)
    assert len(faster) == pytest.approx(16_000 / 1.1, abs=2)
    peak = np.abs(np.fft.rfft(faster * np.hanning(len(faster)))).argmax() * 16_000 / len(faster)
    assert peak == pytest.approx(220, abs=2)


def test_equaliser_follows_its_gains() -> None:
    sound = harmonic(100.0, 1.0)
    np.testing.assert_allclose(equalised(sound, np.zeros(6))[300:-300], sound[300:-300], atol=2e-3)
    tilted = equalised(sound, np.linspace(-6, 6, 6))
    low, high = (spectrum_db(tilted, hz) - spectrum_db(sound, hz) for hz in (100.0, 3500.0))
    assert low == pytest.approx(-4.7, abs=1.5)
    assert high == pytest.approx(4.0, abs=1.5)


def test_noise_has_its_level() -> None:
    speech = vowel("a", 1.0)
    added = with_noise(speech, -20.0, 0.0, RNG(0)) - speech
    loud = np.mean(np.sort(speech.astype(float) ** 2)[len(speech) // 2 :])
    assert 10 * np.log10(added.var() / loud) == pytest.approx(-20.0, abs=0.3)


def test_a_room_adds_a_tail_after_the_sound() -> None:
    sound = np.concatenate([vowel("a", 0.5), np.zeros(8000, np.float32)])
    wet = with_room(sound, 0.4, 0.15, RNG(1))
    assert np.abs(wet[8200:10_000]).mean() > 5 * np.abs(sound[8200:10_000]).mean()
    assert np.abs(wet[8200:9000]).mean() > 3 * np.abs(wet[14_000:15_900]).mean()


def test_a_copy_keeps_time_and_is_chosen_by_the_seed() -> None:
    sound = vowel("e", 2.0)
    copy, same, other = (augmented(sound, AugmentConfig(), RNG(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(copy.samples, same.samples)
    assert copy.speed != other.speed
    assert 1 / 1.1201 <= copy.speed <= 1.1201
    assert len(copy.samples) == pytest.approx(len(sound) / copy.speed, abs=2)
    assert copy.samples.dtype == np.float32 and np.isfinite(copy.samples).all()
    assert len(augmented(np.zeros(0, np.float32), AugmentConfig(), RNG(0)).samples) == 0
