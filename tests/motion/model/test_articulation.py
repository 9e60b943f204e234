import dataclasses

import numpy as np
import pytest

from gtalk.basis import MotionBasis
from gtalk.motion.model.amplitude import opening_of_codes
from gtalk.motion.model.articulation import Articulation, Targets, width_of_codes
from gtalk.speech.features import SpeechFeatures
from gtalk.speech.student import LAG_ROWS, VISEMES
from gtalk.types import Motion
from tests.motion.talking import motion_of_openness

FEATURES = SpeechFeatures(phones=False, ears=True)
AHEAD = 13


def moving(openness: np.ndarray, narrow: np.ndarray) -> Motion:
    """Lips that open, and mouths that are narrower by `narrow` of their width."""
    motion = motion_of_openness(openness)
    landmarks = motion.landmarks.copy()
    landmarks[:, 48:68, 0] *= 1.0 - narrow[:, None]
    return motion.replace(landmarks=landmarks)


RNG = np.random.default_rng(0)
BASIS = MotionBasis.fit(moving(RNG.uniform(size=400), RNG.uniform(0, 0.3, 400)))
KM = len(BASIS.mouth)
REST = BASIS.encode(moving(np.zeros(1), np.zeros(1)))[0, :KM]
WIDE = BASIS.encode(moving(np.full(30, 0.8), np.zeros(30)))[:, :KM]
TARGETS = Targets(f_opening_m=0.002, u_width_m=0.04, o_width_m=0.045)


def measures(mouth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    (opening, opened), (width, widened) = opening_of_codes(BASIS), width_of_codes(BASIS)
    return opening + mouth @ opened, width + mouth @ widened


def made(strength: float = 1.0, ahead: int = AHEAD, targets: Targets | None = TARGETS) -> Articulation:
    articulation = Articulation.of(FEATURES, BASIS, REST, targets, strength, ahead)
    assert articulation is not None
    return articulation


def rows_saying(visemes: list[str]) -> np.ndarray:
    """One row for each 10 ms, in which that is surely said; the ears tell of it later."""
    rows = np.zeros((len(visemes) + LAG_ROWS, FEATURES.size), np.float32)
    rows[:, FEATURES.groups["ears"]] = -6.0
    rows[:, FEATURES.groups["energy"].start + 1] = 1.0
    for j, name in enumerate(visemes):
        rows[j + LAG_ROWS, FEATURES.groups["ears"].start + VISEMES.index(name)] = -0.01
    return rows


def test_lips_shut_on_labials_and_nowhere_else() -> None:
    rows = rows_saying(["a"] * 40 + ["p"] * 12 + ["i"] * 60)
    said = made()(WIDE[:23], rows, 0)
    opening, _ = measures(said)
    np.testing.assert_allclose(opening[11:12], measures(REST[None])[0], atol=1e-9)
    np.testing.assert_array_equal(said[:9], WIDE[:9])
    np.testing.assert_array_equal(said[15:23], WIDE[15:23])
    half = made(0.5)(WIDE[:23], rows, 0)
    np.testing.assert_allclose(measures(half)[0][11], 0.5 * (measures(WIDE)[0][11] + opening[11]), atol=1e-9)


def test_rounded_vowels_narrow_the_mouth_and_keep_it_as_open() -> None:
    said = made()(WIDE[:20], rows_saying(["u"] * 100), 0)
    opening, width = measures(said)
    np.testing.assert_allclose(width[3:], TARGETS.u_width_m, atol=1e-9)
    np.testing.assert_allclose(opening, measures(WIDE[:20])[0], atol=1e-9)


def test_f_leaves_a_slit() -> None:
    opening, _ = measures(made()(WIDE[:20], rows_saying(["f"] * 100), 0))
    np.testing.assert_allclose(opening[3:], max(TARGETS.f_opening_m, measures(REST[None])[0][0]), atol=1e-9)


def test_before_speech_the_lips_are_the_persons_own_business() -> None:
    rows = rows_saying(["p"] * 80)
    rows[:, FEATURES.groups["energy"].start + 1] = 0.0
    np.testing.assert_array_equal(made()(WIDE[:20], rows, 0), WIDE[:20])


@pytest.mark.parametrize("ahead", [AHEAD, 7])
@pytest.mark.parametrize("cut", [1, 4, 13])
def test_in_pieces_as_at_once(cut: int, ahead: int) -> None:
    rng = np.random.default_rng(0)
    rows = rows_saying([str(name) for name in rng.choice(["a", "p", "u", "f", "o"], 120)])
    rows[:, FEATURES.groups["ears"]] *= rng.uniform(0.1, 1.0, (len(rows), 1)).astype(np.float32)
    mouth, shaped = rng.normal(size=(25, KM)), made(ahead=ahead)
    whole = shaped(mouth, rows, 0)
    # A stream keeps some rows of the past, and has heard no more of the future than it may look at.
    first = shaped(mouth[:cut], rows[: 4 * (cut - 1) + ahead + 1], 0)
    past = min(8, 4 * cut)
    later = shaped(mouth[cut:], rows[4 * cut - past :], past)
    np.testing.assert_allclose(np.concatenate([first, later]), whole, atol=1e-12)


def test_targets_are_the_persons_own() -> None:
    narrow, openness = np.zeros(200), np.full(200, 0.6)
    narrow[:50], openness[50:100] = 0.25, 0.1
    codes = BASIS.encode(moving(openness, narrow))[:, :KM]
    rows = rows_saying(["u"] * 50 + ["f"] * 50 + ["a"] * 100)[LAG_ROWS:]
    targets = Targets.learn([codes], [rows], FEATURES, BASIS)
    opening, width = measures(codes)
    assert targets.u_width_m == pytest.approx(width[:50].mean(), abs=1e-4)
    assert targets.f_opening_m == pytest.approx(opening[50:100].mean(), abs=1e-4)
    # Of a sound that the clip does not have, the extreme of all that it has.
    assert targets.o_width_m < np.quantile(width, 0.3)


def test_no_ears_or_no_strength_is_nothing() -> None:
    assert Articulation.of(dataclasses.replace(FEATURES, ears=False), BASIS, REST, TARGETS, 1.0, AHEAD) is None
    assert Articulation.of(FEATURES, BASIS, REST, TARGETS, 0.0, AHEAD) is None
    assert len(made()(np.zeros((0, KM)), rows_saying(["p"]), 0)) == 0
    assert len(made(targets=None).pulls) == 1
