"""Lips and lids never cross, on geometry: every single shape at 1 and 200 random mixtures."""

import numpy as np
import pytest

from gtalk.rig.limits import soft_limit
from gtalk.rig.person import PersonRig
from gtalk.rig.shapes import SHAPES, facing_pairs, index, neutral
from gtalk.topology import EYELID_PAIRS, LIP_GAP_PAIRS

ALL_PAIRS = np.concatenate([LIP_GAP_PAIRS, EYELID_PAIRS.reshape(-1, 2), facing_pairs("lips")])
TOLERANCE_M = 1e-4


@pytest.fixture(scope="module", params=["sculpted", "long", "wide"])
def rig(request) -> PersonRig:
    stretch = {"sculpted": [1, 1, 1], "long": [1, 1.15, 1.1], "wide": [1.1, 0.95, 1]}[request.param]
    return PersonRig.of_mesh(neutral() * np.array(stretch, float))


def lowest_gap(rig: PersonRig, weights: np.ndarray) -> np.ndarray:
    """[T] of faces: the smallest gap less what is there at rest below 0."""
    points = rig.neutral + np.tensordot(weights, rig.shapes, 1)
    upper, lower = ALL_PAIRS.T
    rest = rig.neutral[upper, 1] - rig.neutral[lower, 1]
    return (points[:, upper, 1] - points[:, lower, 1] - np.minimum(rest, 0.0)).min(1)


def test_every_single_shape(rig) -> None:
    given = np.eye(len(SHAPES))
    weights = rig.limited(given)
    assert lowest_gap(rig, weights).min() > -TOLERANCE_M
    spared = set(SHAPES) - {"mouthClose"}
    assert {name for name, row in zip(SHAPES, weights, strict=True) if row.sum() > 0.95} == spared


def test_two_hundred_random_mixtures(rig) -> None:
    rng = np.random.default_rng(0)
    given = rng.uniform(0, 1, (200, len(SHAPES))) * (rng.uniform(size=(200, len(SHAPES))) < 0.25)
    weights = rig.limited(given)
    assert lowest_gap(rig, weights).min() > -TOLERANCE_M
    assert (weights <= given + 1e-12).all()


def test_what_does_not_cross_is_left_alone(rig) -> None:
    weights = np.zeros((2, len(SHAPES)))
    weights[0, [index("jawOpen"), index("mouthSmileLeft"), index("browDownLeft")]] = 0.5, 0.4, 1.0
    np.testing.assert_array_equal(rig.limited(weights), weights)


def test_an_open_mouth_leaves_room(rig) -> None:
    weights = np.zeros((1, len(SHAPES)))
    weights[0, index("mouthClose")] = 1.0
    shut, room = rig.limited(weights), rig.limited(weights, np.array([0.02]))
    assert shut[0, index("mouthClose")] < room[0, index("mouthClose")]


def test_soft_limit() -> None:
    most = np.array([1.0, 1.3])
    weights = np.array([[0.7, 1.3], [1.0, 0.0], [50.0, 50.0], [-1.0, 1.31]])
    found = soft_limit(weights, most)
    np.testing.assert_array_equal(found[:2], weights[:2])
    assert found[2].tolist() == pytest.approx([1.25, 1.625]) and found[3, 0] == 0.0 and 1.3 < found[3, 1] <= 1.31
