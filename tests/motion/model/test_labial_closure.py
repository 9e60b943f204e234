import dataclasses
from pathlib import Path

import numpy as np
import pytest

from demo_person.speaking.visemes import segments
from demo_person.truth import load_truth
from gtalk.basis import MotionBasis, mouth_aperture
from gtalk.media.audio import read_audio
from gtalk.motion.model.labial_closure import LipClosure
from gtalk.speech.base import encode
from gtalk.speech.features import SpeechFeatures
from tests.motion.talking import motion_of_openness

BASIS = MotionBasis.fit(motion_of_openness(np.random.default_rng(0).uniform(size=400)))
KM = len(BASIS.mouth)
FEATURES = SpeechFeatures()
REST = BASIS.encode(motion_of_openness(np.zeros(1)))[0, :KM]
DEMO = Path(__file__).parents[3] / "data" / "demo"


def closure(strength: float = 1.0) -> LipClosure:
    made = LipClosure.of(FEATURES, BASIS, REST, strength)
    assert made is not None
    return made


def rows_saying(phones: list[str]) -> np.ndarray:
    """One row for each phone, which it surely is."""
    rows = np.zeros((len(phones), FEATURES.size), np.float32)
    rows[:, FEATURES.groups["phones"]] = -8.0
    rows[:, FEATURES.groups["energy"].start + 1] = 1.0
    for row, name in zip(rows, phones, strict=True):
        row[FEATURES.groups["phones"].start + FEATURES.phone_names.index(name)] = -0.01
    return rows


def opening(mouth: np.ndarray) -> np.ndarray:
    code = np.zeros((len(mouth), BASIS.size))
    code[:, :KM] = mouth
    return mouth_aperture(BASIS.decode(code))


def test_lips_shut_on_labials_and_nowhere_else() -> None:
    rows = rows_saying(["AA"] * 40 + ["M"] * 12 + ["IY"] * 40)
    wide = BASIS.encode(motion_of_openness(np.full(23, 0.9)))[:, :KM]
    shut = closure()(wide, rows, 0)
    assert np.abs(opening(shut[11:13]) - opening(REST[None])).max() < 1e-9
    np.testing.assert_array_equal(shut[:9], wide[:9])
    np.testing.assert_array_equal(shut[15:], wide[15:])
    half = closure(0.5)(wide, rows, 0)
    np.testing.assert_allclose(opening(half), 0.5 * (opening(wide) + opening(shut)), atol=1e-9)


def test_before_speech_the_lips_are_the_persons_own_business() -> None:
    rows = rows_saying(["P"] * 40)
    assert closure().evidence(rows, 0, 10).min() == 1.0
    rows[:20, FEATURES.groups["energy"].start + 1] = 0.0
    heard = closure().evidence(rows, 0, 10)
    assert heard[:4].max() == 0.0 and heard[6:].min() == 1.0


def test_lips_that_are_shut_already_stay_as_they_are() -> None:
    pressed = np.repeat(REST[None], 5, 0) - 0.3 * closure().per_code_m / np.linalg.norm(closure().per_code_m)
    np.testing.assert_array_equal(closure()(pressed, rows_saying(["B"] * 20), 0), pressed)


@pytest.mark.parametrize("cut", [1, 4, 13])
def test_in_pieces_as_at_once(cut: int) -> None:
    rng = np.random.default_rng(0)
    rows = rows_saying([str(name) for name in rng.choice(["AA", "P", "S", "M", "B"], 100)])
    rows[:, FEATURES.groups["phones"]] *= rng.uniform(0.1, 1.0, (100, 1)).astype(np.float32)
    mouth, shut = rng.normal(size=(25, KM)), closure()
    whole = shut(mouth, rows, 0)
    # A stream keeps some rows of the past, and has heard some of the future.
    first = shut(mouth[:cut], rows[: 4 * (cut - 1) + 5], 0)
    later = shut(mouth[cut:], rows[4 * cut - 4 :], 4)
    np.testing.assert_allclose(np.concatenate([first, later]), whole, atol=1e-12)


def test_no_phones_or_no_strength_is_no_closure() -> None:
    assert LipClosure.of(dataclasses.replace(FEATURES, phones=False), BASIS, REST, 1.0) is None
    assert LipClosure.of(FEATURES, BASIS, REST, 0.0) is None
    assert len(closure()(np.zeros((0, KM)), rows_saying(["M"]), 0)) == 0


def test_it_hears_labials_of_a_voice_far_more_often_than_vowels() -> None:
    truth, samples = load_truth(DEMO), read_audio(DEMO / "clip.mp4").samples[: 20 * 16_000]
    rows = encode(FEATURES.adapted(samples), samples)
    heard = closure().evidence(rows, 0, len(rows) // 4)
    times_s = np.arange(len(heard)) / 25.0
    at = np.clip(np.searchsorted(truth.phoneme_starts_s, times_s, side="right") - 1, 0, len(truth.phonemes) - 1)
    kinds = [segments(truth.phonemes[i])[0] for i in at]
    labial = heard[[target == "p" for _, target in kinds]]
    vowel = heard[[kind == "vowel" for kind, _ in kinds]]
    assert len(labial) > 20 and len(vowel) > 100
    assert labial.mean() > 4 * vowel.mean()
