"""The school of the ears: its spectra are the front end's, its pupil is the student, its phones are right."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from gtalk.speech.base import encode
from gtalk.speech.features import SpeechFeatures
from gtalk.speech.frontend import FrontEnd
from gtalk.speech.student import LAG_ROWS, N_BANDS, QUIET, VISEMES, _from_arrays
from tests.speech.voices import babble

pytest.importorskip("soundfile")
import soundfile

from tools.make.ears import borders, check, lips, phones, spectra
from tools.make.ears.kokoro import LATE_S
from tools.make.ears.teach import PAST_ROWS, Pupil

SOUND = babble(1.5, seed=3)[0]


def test_spectra_are_those_of_the_front_end() -> None:
    front = FrontEnd()
    raw = np.concatenate([front.push(SOUND).power, front.finish().power])
    np.testing.assert_allclose(np.log1p(spectra.power_spectra(SOUND)), np.log1p(raw), atol=6e-3)  # single precision


def test_mel_rows_are_those_of_the_features() -> None:
    mean = np.full(N_BANDS, 12.0)
    rows = spectra.mel_rows(spectra.power_spectra(SOUND), mean)
    own = encode(SpeechFeatures(phones=False), SOUND)[:, :N_BANDS]
    shift = np.median(own - rows, axis=0)  # another mean, which moves slowly
    assert np.abs(own - rows - shift)[(own > -2.9) & (rows > -2.9)].mean() < 0.2


def test_the_folded_pupil_is_the_student() -> None:
    torch.manual_seed(0)
    pupil = Pupil(16).eval()
    for norm in pupil.norms:
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2.0)
    student = _from_arrays({name: value.astype(np.float32) for name, value in pupil.folded().items()}, "test")
    mel = np.random.default_rng(0).uniform(QUIET, 2.0, (120, N_BANDS)).astype(np.float32)
    padded = np.concatenate([np.full((PAST_ROWS, N_BANDS), QUIET, np.float32), mel])
    with torch.no_grad():
        scores, hidden = pupil(torch.from_numpy(padded.T.copy())[None])
    rows, frames = student.stream().push(mel), np.arange(50)
    for late in (0, 1):
        seen = rows[2 * frames + LAG_ROWS + late]
        wanted = torch.log_softmax(scores, 1).clamp(min=-6.0)[0].T[frames]
        np.testing.assert_allclose(seen[:, : len(VISEMES)], wanted, atol=5e-3)
        np.testing.assert_allclose(seen[:, len(VISEMES) :], hidden[0].T[frames], atol=5e-3)


@pytest.mark.parametrize(
    ("text", "language", "wanted"),
    [("kyou wa", "ja", "kʲoː wa."), ("kitte", "ja", "kiʔte."), ("shinbun", "ja", "ɕimbɯɴ."),
     ("ni3 hao3", "zh", "ni↓ xau↓."), ("yue4 liang5", "zh", "ɥe↘ ljaŋ."), ("shi2 wu3", "zh", "ʂɨ↗ u↓.")],
)  # fmt: skip
def test_regular_spellings_become_phones(text: str, language: str, wanted: str) -> None:
    assert phones.phones_of(text, language) == wanted


def test_first_consonants_change_places_and_nothing_else_does() -> None:
    said = phones.exchanged("ðə bˈɪɡ wˈɔːɹm, ˈæz", np.random.default_rng(3))
    tails = ["ə", "ˈɪɡ", "ˈɔːɹm,", "ˈæz"]
    assert all(word.endswith(tail) for word, tail in zip(said.split(" "), tails, strict=True))
    assert sorted(w.removesuffix(t) for w, t in zip(said.split(" "), tails, strict=True)) == ["", "b", "w", "ð"]


def test_marks_join_their_sound_and_diphthongs_are_halved() -> None:
    said = phones.visemes_of("ˈmI.", [0.0, 0.1, 0.2, 0.4], [0.1, 0.2, 0.4, 0.6])
    assert [kind for kind, _, _ in said] == ["p", "a", "i", "rest"]
    np.testing.assert_allclose([(a, b) for _, a, b in said], [(0, 0.2), (0.2, 0.3), (0.3, 0.4), (0.4, 0.6)])


@pytest.mark.parametrize(("voice", "late_s"), [("af_heart", LATE_S), ("espeak+m1", 0.0), ("flite+rms", 0.0)])
def test_a_lesson_is_read_with_its_times(tmp_path, voice: str, late_s: float) -> None:
    facts = {"name": "x", "language": "es", "voice": voice, "phones": "ma", "speed": 1.0,
             "starts_s": [0.5, 0.7], "ends_s": [0.7, 1.0]}  # fmt: skip
    (tmp_path / "x.json").write_text(json.dumps(facts))
    soundfile.write(tmp_path / "x.wav", SOUND, 16_000)
    lesson = spectra.read_lesson(tmp_path / "x.json")
    labial = np.flatnonzero(lesson.viseme == VISEMES.index("p")) / 100
    assert labial.min() == pytest.approx(0.5 - late_s, abs=0.011)
    assert labial.max() == pytest.approx(0.69 - late_s, abs=0.011)


def test_borders_move_to_where_the_sounds_change() -> None:
    heard = np.full((60, len(VISEMES)), -6.0)
    kinds = np.array([0, 1, 5, 9])
    for kind, start, stop in zip(kinds, (0, 22, 28, 41), (22, 28, 41, 60), strict=True):
        heard[start:stop, kind] = -0.1
    moved = borders.moved(np.array([0, 20, 30, 48, 60]), kinds, heard)
    np.testing.assert_array_equal(moved, [0, 22, 28, 48 - borders.REACH, 60])


def test_ordeals_leave_numbers_and_keep_what_is_said_when() -> None:
    power = np.log1p(spectra.power_spectra(SOUND)).astype(np.float16)
    viseme = np.repeat([0, 1, 5], [50, 50, len(power) - 100])
    ordeal = spectra.Ordeal([power], 0)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        changed, at = spectra.warped(power, rng, 120)
        assert 100 < len(changed) == len(at) <= 120 and (np.diff(at) > 0).all() and at[-1] < len(power)
        heard, mean = ordeal(changed, viseme[np.round(at).astype(int)] > 0, rng)
        assert np.isfinite(spectra.mel_rows(heard, mean)).all()


def test_the_area_under_the_curve() -> None:
    assert check.area(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True])) == 1.0
    assert check.area(np.array([0.9, 0.2, 0.8, 0.1]), np.array([False, True, False, True])) == 0.0


def test_a_regression_that_knows_the_lips_scores_one() -> None:
    rng = np.random.default_rng(0)
    rows, heard = rng.normal(size=(400, 6)).astype(np.float32), np.ones(100, bool)
    person = lips.Person({"plain": rows, "ears": rows[:, :2]}, np.zeros((100, 2)), heard)
    design = person.design(("plain", "ears"))
    assert design.shape == (100, 8 * len(lips.CONTEXT_ROWS))
    person = dataclasses.replace(person, lips=design[:, :2])
    assert lips.score(design[:, :2], person) == pytest.approx((1.0, 1.0, 1.0))
    assert lips.score(-design[:, :2], person)[2] < 0.2
