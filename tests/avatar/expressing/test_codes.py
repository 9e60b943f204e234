import numpy as np
import pytest

from gtalk.avatar.expressing.codes import Division, single
from gtalk.errors import UserError
from gtalk.rig.shapes import SHAPES
from tests.avatar.expressing.speaking_face import speaking_face


@pytest.fixture(scope="module")
def division() -> Division:
    return speaking_face()[0].division


def weights_of(**named: float) -> np.ndarray:
    out = np.zeros(len(SHAPES))
    for name, value in named.items():
        out[SHAPES.index(name)] = value
    return out


@pytest.mark.parametrize("weight", [0.2, 1.0])
def test_codes_and_columns_together_move_the_mesh_by_what_was_asked(division: Division, weight: float) -> None:
    weights = weights_of(jawOpen=weight, mouthSmileLeft=weight, browDownRight=weight)
    code = division.basis.encode(speaking_face()[1])[7]
    change, asked = division.divide(weights, code)
    moved = np.tensordot(change, division.rig.motion, 1) + np.tensordot(asked.coefs, division.fields, 1)
    np.testing.assert_allclose(moved, np.tensordot(weights, division.wanted, 1), atol=2e-6)


def test_what_the_clip_has_shown_comes_from_the_codes(division: Division) -> None:
    code = division.rig.shut_code
    change, asked = division.divide(weights_of(jawOpen=0.15), code)
    by_codes = np.abs(np.tensordot(change, division.rig.motion, 1)).max()
    left = np.abs(np.tensordot(asked.coefs, division.fields, 1)).max()
    assert left < 0.5 * by_codes


def test_codes_stay_within_the_clips_range_and_are_never_pulled_back(division: Division) -> None:
    basis = division.basis
    for code in (basis.low, basis.high + 0.1, division.rig.shut_code):
        change, _ = division.divide(weights_of(jawOpen=1.0, mouthSmileLeft=1.0), code)
        at = code + change
        assert (at <= np.maximum(basis.high, code) + 1e-9).all()
        assert (at >= np.minimum(basis.low, code) - 1e-9).all()


def test_a_blink_is_the_eyes_own_code(division: Division) -> None:
    change, asked = division.divide(weights_of(eyeBlinkRight=0.5), np.zeros(division.basis.size))
    eyes = division.basis.groups["eyes"]
    assert change[eyes][0] == pytest.approx(-1.0)
    others = np.delete(change, eyes.start)
    assert not others.any()
    assert not asked.coefs[len(SHAPES) :].any()


def test_shapes_that_others_make_up_are_taken_apart() -> None:
    apart = single(weights_of(browInnerUp=0.4, browInnerUpLeft=0.1)[None])[0]
    assert apart[SHAPES.index("browInnerUp")] == 0.0
    assert apart[SHAPES.index("browInnerUpLeft")] == pytest.approx(0.5)
    assert apart[SHAPES.index("browInnerUpRight")] == pytest.approx(0.4)


def test_frames_without_an_expression_stay_as_they_are(division: Division) -> None:
    codes = np.zeros((3, division.basis.size + 5))
    wanted = np.stack([weights_of(), weights_of(jawOpen=0.1), weights_of()])
    asked = division.express(codes, wanted)
    assert [a is None for a in asked] == [True, False, True]
    assert not codes[[0, 2]].any()
    assert not codes[:, division.basis.size :].any()


def test_without_a_mesh_the_message_says_what_to_do() -> None:
    with pytest.raises(UserError, match="Fit it again"):
        _ = speaking_face(with_rig=False)[0].division


def test_a_blink_keeps_the_column_of_what_its_code_strays(division: Division) -> None:
    _, asked = division.divide(weights_of(eyeBlinkLeft=0.6), division.rig.shut_code)
    assert asked.coefs[SHAPES.index("eyeBlinkLeft")] == np.float32(0.6)
