import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.types import AUDIO_RATE
from gtalk.viewer.sources import PushSource


def test_samples_come_out_in_order_whatever_the_pieces() -> None:
    source = PushSource("x", audible=True)
    sound = np.linspace(-1, 1, 1000, dtype=np.float32)
    for part in np.array_split(sound, 7):
        source.push(part)
    out = [source.read(n) for n in (1, 300, 50, 10_000)]
    np.testing.assert_array_equal(np.concatenate(out), sound)
    assert len(source.read(5)) == 0
    source.close()
    assert source.read(5) is None


def test_a_fast_microphone_cannot_pile_up() -> None:
    source = PushSource("mic", audible=False)
    for _ in range(100):
        source.push(np.zeros(1600, np.float32))
    assert source.buffered_s <= 0.4
    assert source.n_skipped == 100 * 1600 - source.buffered_s * AUDIO_RATE


def test_speech_made_ahead_waits() -> None:
    source = PushSource("tts", audible=True, bounded=False)
    source.push(np.ones(AUDIO_RATE * 5, np.float32))
    assert source.buffered_s == 5
    source.clear()
    assert source.buffered_s == 0


def test_other_rates_are_resampled_and_may_change() -> None:
    source = PushSource("mic", audible=False, bounded=False)
    for rate in (48_000, 44_100):
        times_s = np.arange(rate) / rate
        tone = np.sin(2 * np.pi * 440 * times_s).astype(np.float32)
        for part in np.array_split(tone, 50):
            source.push(part, rate)
        heard = source.read(AUDIO_RATE * 2)
        assert abs(len(heard) - AUDIO_RATE) < 800
        spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
        assert abs(np.argmax(spectrum) * AUDIO_RATE / len(heard) - 440) < 3
    with pytest.raises(UserError, match="sample rate"):
        source.push(np.zeros(4, np.float32), 300)


def test_bad_samples_become_silence() -> None:
    source = PushSource("mic", audible=False)
    source.push(np.array([np.nan, np.inf, 3.0, -0.5], np.float32))
    np.testing.assert_array_equal(source.read(4), np.array([0, 0, 1, -0.5], np.float32))
