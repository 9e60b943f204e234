import numpy as np
import pytest

from tests.speech.voices import babble
from tools.check.rooms import changes

SPEECH = babble(3.0, seed=1)[0]


def test_every_change_keeps_the_length_and_stays_finite() -> None:
    for name, sound in changes(SPEECH).items():
        assert sound.shape == SPEECH.shape, name
        assert np.isfinite(sound).all(), name
    assert np.array_equal(changes(SPEECH)["as it is"], SPEECH)


@pytest.mark.parametrize("decibels", [0, 10])
def test_babble_has_the_level_of_its_name(decibels: int) -> None:
    noise = changes(SPEECH)[f"babble at {decibels} dB"] - SPEECH
    assert 20 * np.log10(SPEECH.std() / noise.std()) == pytest.approx(decibels, abs=0.1)


def test_a_telephone_has_no_highs() -> None:
    def highs(sound: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(sound)) ** 2
        return power[len(power) * 5 // 8 :].sum() / power.sum()

    hiss = np.random.default_rng(0).normal(size=16_000) * 0.1
    assert highs(changes(hiss)["telephone"]) < 0.1 * highs(hiss)
