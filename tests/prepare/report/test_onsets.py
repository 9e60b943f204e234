"""Onsets of sounds whose truth is known."""

from pathlib import Path

import librosa
import numpy as np

from gtalk.media.audio import read_audio
from gtalk.prepare.report.metrics import HOP_S
from gtalk.prepare.report.onsets import onset_times_s, spectral_flux
from gtalk.types import AUDIO_RATE
from tests.speech.voices import harmonic, room_noise

DEMO = Path(__file__).parents[3] / "data" / "demo"


def test_syllables_begin_where_they_begin() -> None:
    starts_s = np.array([0.5, 0.9, 1.4, 1.8])
    samples = room_noise(2.4, -70.0).astype(np.float32)
    for start in starts_s:
        first = round(start * AUDIO_RATE)
        samples[first : first + 3200] += (harmonic(150.0, 0.2) * np.hanning(6400)[3200:]).astype(np.float32)
    found_s = onset_times_s(samples)
    assert len(found_s) == len(starts_s)
    np.testing.assert_allclose(found_s, starts_s, atol=0.04)


def test_silence_and_next_to_nothing_begin_nowhere() -> None:
    for samples in (np.zeros(32_000, np.float32), np.zeros(0, np.float32), np.zeros(500, np.float32)):
        assert len(onset_times_s(samples)) == 0


def test_speech_begins_where_librosa_says() -> None:
    samples = read_audio(DEMO / "speech.wav").samples[: 8 * AUDIO_RATE]
    hop = round(HOP_S * AUDIO_RATE)
    theirs = librosa.onset.onset_detect(y=samples, sr=AUDIO_RATE, hop_length=hop)
    strength = librosa.onset.onset_strength(y=samples, sr=AUDIO_RATE, hop_length=hop)
    assert np.corrcoef(strength, spectral_flux(samples, hop))[0, 1] > 0.99
    ours = onset_times_s(samples) / HOP_S
    near = np.abs(ours[:, None] - theirs).min(1) <= 1.01
    assert near.mean() > 0.75 and len(ours) > 0.75 * len(theirs), "but for close calls: their mel scale is another"
