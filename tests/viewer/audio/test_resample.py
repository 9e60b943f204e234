import numpy as np
import pytest

from gtalk.types import AUDIO_RATE
from gtalk.viewer.audio.resample import LiveResampler


def resampled(rate: int, sound: np.ndarray, pieces: int) -> np.ndarray:
    resample = LiveResampler(rate)
    return np.concatenate([resample(piece) for piece in np.array_split(sound, pieces)])


def tone(rate: int, hz: float, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 11_025, 44_100, 48_000, 96_000])
def test_tones_pass_in_time_and_what_would_fold_does_not(rate: int) -> None:
    out = resampled(rate, tone(rate, 440.0), 100)
    expected = tone(AUDIO_RATE, 440.0)[: len(out)]
    inner = slice(200, -200)
    assert np.abs(out - expected)[inner].max() < 1e-3
    if rate > 20_000:
        folded = resampled(rate, tone(rate, 9000.0), 100)
        assert np.sqrt(np.mean(folded[inner] ** 2)) < 1e-3


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
def test_it_holds_back_three_milliseconds_and_no_more(rate: int) -> None:
    resample = LiveResampler(rate)
    pushed = out = 0
    for _ in range(300):
        piece = np.zeros(rate // 125, np.float32)
        pushed += len(piece)
        out += len(resample(piece))
        assert -1e-9 <= pushed / rate - out / AUDIO_RATE < 0.0033


def test_pieces_do_not_change_the_result() -> None:
    sound = np.random.default_rng(0).normal(size=48_000).astype(np.float32)
    whole = resampled(48_000, sound, 1)
    for pieces in (7, 375, 3000):
        np.testing.assert_allclose(resampled(48_000, sound, pieces), whole, atol=1e-5)
