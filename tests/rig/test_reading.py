import numpy as np
import pytest

from gtalk.rig.expression import Expression, named
from gtalk.rig.reading import LEAST, QUIET, SCORES, change_of, read_expression, readable


def shown(name: str, strength: float = 0.9, frames: int = 1, seed: int = 0) -> np.ndarray:
    """Scores of a face that shows a named expression, as a reader gives them: a share of the weights, and noise."""
    rng = np.random.default_rng(seed)
    wanted = readable(named(name))
    change = strength * wanted / np.linalg.norm(wanted)
    return np.clip(QUIET + change + 0.01 * rng.standard_normal((frames, 52)), 0.0, 1.0)


@pytest.mark.parametrize("name", ["happy", "sad", "angry", "surprised", "disgusted", "fearful"])
def test_an_expression_that_is_shown_is_the_strongest_part(name) -> None:
    found = read_expression(shown(name))
    assert found.parts[0][0] == name and found.parts[0][1] > 0.5
    assert max(found.expression.weights.values()) <= 1.0


def test_what_no_reader_sees_comes_from_the_named_expression() -> None:
    weights = read_expression(shown("happy")).expression.weights
    assert weights["cheekRaiserLeft"] > 0.2 and weights["mouthSmileLeft"] > 0.4
    assert "cheekRaiserLeft" not in read_expression(shown("surprised")).expression.weights


def test_half_as_much_is_half_as_strong_and_intensity_is_a_factor() -> None:
    whole, half = (read_expression(shown("happy", s)).parts[0][1] for s in (0.9, 0.45))
    assert half == pytest.approx(0.5 * whole, abs=0.12)
    assert read_expression(shown("happy"), 0.5).parts[0][1] == pytest.approx(0.5 * whole, abs=0.05)


def test_a_quiet_face_talking_or_looking_aside_expresses_nothing() -> None:
    scores = np.tile(QUIET, (6, 1))
    scores[:, [SCORES.index(n) for n in ("jawOpen", "eyeLookOutLeft", "eyeBlinkLeft", "mouthFunnel")]] = 0.8
    found = read_expression(scores)
    assert found.is_quiet and found.expression == Expression()


def test_a_clip_that_is_quiet_somewhere_is_compared_with_itself() -> None:
    frown = SCORES.index("browDownLeft")
    scores = np.concatenate([np.tile(QUIET, (10, 1)), shown("happy", frames=10)])
    scores[:, frown] = QUIET[frown] + 0.1  # somebody whose brows are always low
    assert change_of(scores)[frown] < 0.02 < LEAST
    assert read_expression(scores).parts[0][0] == "happy"


def test_readable_leaves_out_what_cannot_be_read() -> None:
    asked = readable(Expression({"cheekPuffLeft": 1.0, "noseSneerLeft": 1.0, "mouthSmileLeft": 0.5}))
    assert asked.sum() == 0.5
