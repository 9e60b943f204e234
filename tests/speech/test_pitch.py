import librosa
import numpy as np
import pytest

from gtalk.speech.pitch import WINDOW, yin
from tests.speech.voices import harmonic, room_noise


def windows_of(samples: np.ndarray) -> np.ndarray:
    return np.stack([samples[i : i + WINDOW] for i in range(0, len(samples) - WINDOW, 160)])


@pytest.mark.parametrize("f0_hz", [70.0, 110.0, 155.5, 220.0, 333.0, 523.25])
def test_f0_of_a_voice_like_tone_is_exact_to_half_a_per_cent(f0_hz: float) -> None:
    f0, periodicity = yin(windows_of(harmonic(f0_hz, 0.4)))
    np.testing.assert_allclose(f0, f0_hz, rtol=0.005)
    assert periodicity.min() > 0.9


def test_a_glide_is_followed() -> None:
    glide = np.geomspace(100.0, 250.0, 16_000)
    f0, _ = yin(windows_of(harmonic(glide, 1.0)))
    # The comparison looks at WINDOW samples; its weight lies in their middle.
    centre = glide[np.arange(len(f0)) * 160 + WINDOW // 2]
    np.testing.assert_allclose(f0, centre, rtol=0.03)


def test_noise_and_silence_are_not_periodic() -> None:
    _, noise = yin(windows_of(room_noise(0.5, -30.0)))
    _, silence = yin(np.zeros((3, WINDOW), np.float32))
    assert np.percentile(noise, 95) < 0.72
    assert silence.max() < 0.1
    f0, periodicity = yin(np.zeros((0, WINDOW), np.float32))
    assert len(f0) == len(periodicity) == 0


def test_the_streaming_pitch_is_that_of_librosa_offline() -> None:
    """The same method (de Cheveigné & Kawahara 2002) on the same windows: a voice that glides, and rests."""
    samples = np.concatenate([harmonic(np.geomspace(90.0, 260.0, 12_000), 0.75), harmonic(180.0, 0.5)])
    windows = windows_of(samples)
    ours, periodicity = yin(windows)
    theirs = librosa.yin(samples, fmin=60, fmax=500, sr=16_000, frame_length=WINDOW, hop_length=160, center=False)
    count = min(len(ours), len(theirs))
    both = periodicity[:count] > 0.9
    assert both.mean() > 0.8
    # librosa compares other parts of a window with each other: it sees a glide at slightly other times.
    np.testing.assert_allclose(ours[:count][both], theirs[:count][both], rtol=0.02)
