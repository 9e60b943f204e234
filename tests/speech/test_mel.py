import librosa
import numpy as np
import pytest

from gtalk.speech.mel import hz_to_mel, mel_filters, mel_to_hz
from gtalk.types import AUDIO_RATE


def test_mel_scale_round_trip() -> None:
    hz = np.array([0.0, 60.0, 1000.0, 7600.0])
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(hz)), hz, atol=1e-9)
    assert abs(float(hz_to_mel(1000.0)) - 1000.0) < 0.1


def test_white_noise_gives_a_flat_spectrum_and_a_tone_falls_into_its_band() -> None:
    filters = mel_filters(25, 130.0, 6800.0, 4096)
    area = filters.sum(1) * 16_000 / 4096
    np.testing.assert_allclose(area, 1.0, atol=0.03)
    tone = np.zeros(2049)
    tone[round(1000 / 16_000 * 4096)] = 1.0
    centres = mel_to_hz(np.linspace(hz_to_mel(130.0), hz_to_mel(6800.0), 27))[1:-1]
    assert abs(centres[(filters @ tone).argmax()] - 1000.0) < 120.0


def test_corners_on_bins() -> None:
    filters = mel_filters(25, 130.0, 6800.0, 512, on_bins=True)
    assert (filters.sum(1) > 0).all()
    assert np.allclose(filters.max(1) * (filters > 0).sum(1), filters.max(1) * (filters > 0).sum(1))
    assert filters[:, :3].sum() == 0.0  # nothing below 130 Hz


@pytest.mark.parametrize(("count", "low_hz", "high_hz", "n_fft"), [(32, 60.0, 7600.0, 512), (25, 130.0, 6800.0, 1024)])
def test_the_filters_are_those_of_librosa(count: int, low_hz: float, high_hz: float, n_fft: int) -> None:
    """Whose import takes more than a second, which neither a dub nor the live view should wait for."""
    theirs = librosa.filters.mel(
        sr=AUDIO_RATE, n_fft=n_fft, n_mels=count, fmin=low_hz, fmax=high_hz, htk=True, dtype=np.float64
    )
    np.testing.assert_allclose(mel_filters(count, low_hz, high_hz, n_fft), theirs, rtol=1e-6, atol=1e-9)
