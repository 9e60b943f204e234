import numpy as np
import pytest

from gtalk.eval.emotion import measures
from gtalk.eval.emotion.run import emotion_names
from gtalk.rig.expression import Expression, named
from gtalk.rig.reading import SCORES, readable


def test_strength_is_one_when_all_that_was_asked_is_read() -> None:
    wanted = readable(named("happy"))
    assert measures.strength(wanted, wanted) == pytest.approx(1.0)
    assert measures.strength(0.3 * wanted, wanted) == pytest.approx(0.3)
    assert measures.strength(np.roll(wanted, 3) * 0.0, wanted) == 0.0


def test_strength_of_real_is_in_units_of_what_people_show() -> None:
    wanted = readable(named("sad"))
    real = [0.2 * wanted, 0.4 * wanted]
    assert measures.strength_of_real(0.3 * wanted, real, wanted) == pytest.approx(1.0)
    other = np.where(wanted > 0.0, 0.0, 5.0)  # what the expression does not ask for does not count
    assert measures.strength_of_real(0.15 * wanted + other, real, wanted) == pytest.approx(0.5)
    assert measures.strength_of_real(wanted, [], wanted) is None
    assert measures.strength_of_real(wanted, [0.0 * wanted], wanted) is None


def test_what_cannot_be_read_is_not_asked_for() -> None:
    asked = readable(Expression({"cheekPuffLeft": 1.0, "noseSneerLeft": 1.0, "mouthSmileLeft": 0.5}))
    assert asked.sum() == pytest.approx(0.5)
    assert asked[SCORES.index("mouthSmileLeft")] == 0.5
    brows = readable(Expression({"browInnerUpLeft": 1.0, "browInnerUpRight": 1.0}))
    assert brows[SCORES.index("browInnerUp")] == pytest.approx(1.0)
    assert len(SCORES) == 52


def test_order() -> None:
    assert measures.spearman([0.0, 0.1, 0.3, 0.5, 0.9]) == pytest.approx(1.0)
    assert measures.spearman([0.0, 0.3, 0.1, 0.5, 0.9]) < 1.0
    assert measures.spearman([4.0, 3.0, 2.0]) == pytest.approx(-1.0)


def test_speech_under_an_expression() -> None:
    spoken = 0.004 * np.abs(np.sin(np.arange(100) / 4.0))
    talks = np.ones(100, bool)
    assert measures.content_correlation(spoken + 0.002, spoken) == pytest.approx(1.0)
    assert measures.content_correlation(np.zeros(100), spoken) is None
    assert measures.closures_kept(spoken, spoken, 0.0, talks) == 1.0
    assert measures.closures_kept(spoken + 0.004, spoken, 0.0, talks) == 0.0
    assert measures.closures_kept(spoken, spoken, 0.0, ~talks) is None


def test_silence() -> None:
    still = np.full(100, 0.003)
    assert measures.silence_leakage(still, 0.002) == 0.0
    late = still.copy()
    late[:10] += 0.001
    assert measures.silence_leakage(late, 0.002) == pytest.approx(0.11)


def test_colours_that_no_frame_resembles() -> None:
    known = measures.KnownColours()
    known.add(np.array([[200, 150, 140], [60, 20, 20]], np.uint8))
    asked = np.array([[203, 149, 143], [207, 158, 147], [20, 120, 250], [60, 28, 12]], np.uint8)
    assert known.unlike(asked).tolist() == [False, False, True, False]


def test_the_emotions_are_those_with_recipes() -> None:
    assert set(emotion_names()) >= {"happy", "sad", "angry", "fearful", "disgusted", "surprised"}
    assert "neutral" not in emotion_names()
