"""The sculpted shapes on the face that they were sculpted on and on others."""

import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.rig.sculpted.surface import Surface
from gtalk.rig.sculpted.table import read_table, sculpts
from gtalk.rig.shapes import ARKIT, INDEPENDENT, SHAPES, WHOLE, displacements, facing_pairs, index, neutral
from gtalk.topology import INNER_LIPS_RING, LIP_GAP_PAIRS, MIRROR

LEFT = [name for name in SHAPES if name.endswith("Left")]


@pytest.fixture(scope="module")
def shapes() -> np.ndarray:
    return displacements(neutral())


def test_there_are_arkits_52_and_the_split_ones() -> None:
    assert len(ARKIT) == 52 and len(SHAPES) == len(set(SHAPES)) == 58 and len(INDEPENDENT) == 55
    assert ARKIT[0] == "eyeBlinkLeft" and ARKIT[17] == "jawOpen" and ARKIT[-1] == "tongueOut"
    assert set(sculpts()) == set(INDEPENDENT)


@pytest.mark.parametrize("name", sorted(sculpts()))
def test_handles_are_met_and_what_is_out_of_reach_rests(shapes, name: str) -> None:
    sculpt, moved = sculpts()[name], shapes[index(name), :468] / 0.09
    found = moved[sculpt.handles]  # nearly: rims of lips and lids give way to each other on this face
    closing = name.startswith(("eyeBlink", "eyeLookIn", "eyeLookOut", "mouthClose"))
    assert closing or np.linalg.norm(found - sculpt.values) < 0.3 * np.linalg.norm(sculpt.values)
    sizes = np.linalg.norm(moved, axis=1)
    assert 0.012 < sizes.max() < 0.6 and (sizes < 1e-3).sum() > 20


def test_a_spread_field_meets_its_handles_and_ends_at_their_reach() -> None:
    surface = Surface(neutral()[:468])
    handles, values = np.array([291, 425, 330]), np.array([[0.01, 0.02, 0.0], [0.0, 0.01, 0.0], [0.0, 0.0, 0.0]])
    field = surface.spread(handles, values, np.array([0.03, 0.03, 0.0]))
    np.testing.assert_allclose(field[handles], values)
    far = (surface.distances[[291, 425]] > 0.03).all(0)
    assert far.sum() > 300 and not field[far].any()
    between = surface.spread(handles[:2], values[:2], np.array([0.03, 0.03]))[432]
    assert 0.002 < between[1] < 0.02


@pytest.mark.parametrize("name", LEFT)
def test_the_right_is_the_mirror_image_of_the_left(shapes, name: str) -> None:
    left, right = shapes[index(name)], shapes[index(name.replace("Left", "Right"))]
    np.testing.assert_allclose(right, left[MIRROR] * [-1, 1, 1], atol=5e-4)
    heavier = np.linalg.norm(left[neutral()[:, 0] > 0], axis=1).sum()
    assert heavier > np.linalg.norm(left[neutral()[:, 0] < 0], axis=1).sum() or name in ("jawLeft", "mouthLeft")


def test_wholes_are_the_sum_of_their_halves(shapes) -> None:
    for whole, halves in WHOLE.items():
        np.testing.assert_allclose(shapes[index(whole)], shapes[[index(h) for h in halves]].sum(0))
    assert not shapes[index("tongueOut")].any()


def test_directions(shapes) -> None:
    def moved(name: str, point: int) -> np.ndarray:
        return shapes[index(name), point]

    assert moved("mouthSmileLeft", 291)[0] > 0.003 and moved("mouthSmileLeft", 291)[1] > 0.003
    assert moved("mouthFrownRight", 61)[1] < -0.002
    assert moved("browDownLeft", 334)[1] < -0.001 < 0.001 < moved("browOuterUpLeft", 334)[1]
    assert moved("jawLeft", 152)[0] > 0.003 and moved("jawForward", 152)[2] > 0.003
    assert moved("eyeLookInLeft", 473)[0] < -0.003 and moved("eyeLookInRight", 468)[0] > 0.003
    assert moved("eyeLookUpLeft", 473)[1] > 0.003 and not shapes[index("eyeLookUpLeft"), 468].any()


def test_regions_do_not_bleed(shapes) -> None:
    upper, lower = facing_pairs("lips").T
    middle = slice(3, -3)
    for name, still in (("mouthShrugUpper", lower),):
        moving = np.linalg.norm(shapes[index(name)], axis=1).max()
        assert np.linalg.norm(shapes[index(name), still[middle]], axis=1).max() < 0.05 * moving
    assert np.linalg.norm(shapes[index("jawOpen"), upper[middle]], axis=1).max() < 0.002
    assert set(upper) | set(lower) | {78, 308} == set(INNER_LIPS_RING)


@pytest.mark.parametrize("wide", [0.7, 1.0, 1.5])
def test_a_blink_shuts_this_eye_and_mouth_close_undoes_jaw_open(wide: float) -> None:
    mesh = neutral().copy()
    lids = [i for pair in ("image_left", "image_right") for i in facing_pairs(pair).ravel()]
    middle = mesh[lids, 1].mean()
    mesh[lids, 1] = middle + wide * (mesh[lids, 1] - middle)
    shapes = displacements(mesh)
    for side, opening in (("Left", "image_right"), ("Right", "image_left")):
        shut = mesh + shapes[index(f"eyeBlink{side}")]
        upper, lower = facing_pairs(opening).T
        assert np.abs(shut[upper, 1] - shut[lower, 1]).max() < 3e-4
    both = mesh + shapes[index("jawOpen")] + shapes[index("mouthClose")]
    gap, rest = (points[LIP_GAP_PAIRS[:, 0], 1] - points[LIP_GAP_PAIRS[:, 1], 1] for points in (both, mesh))
    np.testing.assert_allclose(gap, rest, atol=3e-4)


def test_shapes_follow_size_turn_and_proportion() -> None:
    mesh = neutral()
    plain = displacements(mesh)
    np.testing.assert_allclose(displacements(1.3 * mesh), 1.3 * plain, atol=1e-4)
    angle = np.deg2rad(8)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    turned = displacements(mesh @ turn.T)
    jaw = index("jawOpen")
    np.testing.assert_allclose(turned[jaw, :468], plain[jaw, :468] @ turn.T, atol=5e-4)
    long = mesh * [1.0, 1.25, 1.0]
    opened = displacements(long)[jaw]
    assert 1.05 < np.linalg.norm(opened[152]) / np.linalg.norm(plain[jaw, 152]) < 1.4


def test_editing_three_numbers_changes_the_smile(tmp_path) -> None:
    path = tmp_path / "shapes.yaml"
    path.write_text(
        "points: {corner: 291}\nshapes:\n  mouthSmileLeft:\n    sides: left\n    reach: 0.4\n"
        "    handles:\n      corner: [0.1, 0.2, 0.0]\n"
    )
    table = read_table(path)
    assert set(table) == {"mouthSmileLeft", "mouthSmileRight"}
    assert table["mouthSmileRight"].handles.tolist() == [61]
    assert table["mouthSmileRight"].values.tolist() == [[-0.1, 0.2, 0.0]]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("points: {}\nshapes: {mouthSmile: {sides: left, reach: 0.3, handles: {1: [0, 0, 0]}}}", "end so"),
        ("points: {}\nshapes: {jawOpen: {sides: both, reach: 0.3, handles: {nose: [0, 0, 0]}}}", "no point 'nose'"),
        ("points: {}\nshapes: {jawOpen: {sides: both, reach: 0.3, handles: {1: [0, 9, 0]}}}", "jawOpen, 1"),
        ("points: {}\nshapes: {jawOpen: {sides: twice, handles: {}}}", "twice"),
        ("nothing", "TypeError"),
        ("a: [", "ParserError"),
    ],
)
def test_a_table_with_an_error_says_where(tmp_path, text: str, complaint: str) -> None:
    (tmp_path / "shapes.yaml").write_text(text)
    with pytest.raises(UserError, match=complaint):
        read_table(tmp_path / "shapes.yaml")
