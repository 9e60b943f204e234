import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.media.audio import write_wav
from gtalk.types import AUDIO_RATE, AudioTrack
from gtalk.viewer.audio.sources import FileSource, PushSource


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
    source.keep(0.1)
    assert source.buffered_s == pytest.approx(0.1)


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


def test_capture_times_follow_the_samples_through_skips() -> None:
    source = PushSource("mic", audible=False)
    for i in range(20):
        source.push(np.zeros(160, np.float32), AUDIO_RATE, captured_ms=500.0 + 10 * i)
    source.read(400)
    assert source.heard_ms == 500.0
    source.read(10)
    assert source.heard_ms == 525.0
    source.keep(0.02)
    source.read(10)
    assert source.heard_ms == 680.0


def test_a_file_without_sound_fails_before_it_plays(tmp_path) -> None:
    (tmp_path / "noise.mp3").write_bytes(b"this is no sound" * 100)
    with pytest.raises(UserError):
        FileSource(tmp_path / "noise.mp3")


def test_a_file_is_played_to_its_end(tmp_path) -> None:
    sound = np.linspace(-0.5, 0.5, 5000, dtype=np.float32)
    write_wav(tmp_path / "a.wav", AudioTrack(sound))
    source = FileSource(tmp_path / "a.wav")
    pieces = []
    while (piece := source.read(640)) is not None:
        pieces.append(piece)
    np.testing.assert_allclose(np.concatenate(pieces), sound, atol=1e-4)
