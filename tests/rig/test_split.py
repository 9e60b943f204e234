"""Expressions as person codes and rig weights."""

import numpy as np
import pytest

from gtalk.basis import LIPS, MOUTH_GROUP, UPPER_GROUP, MotionBasis
from gtalk.rig.person import PersonRig
from gtalk.rig.shapes import SHAPES, index, neutral
from gtalk.rig.split import Splitter
from gtalk.topology import LANDMARKS68
from gtalk.types import Motion


@pytest.fixture(scope="module")
def rig() -> PersonRig:
    return PersonRig.of_mesh(neutral())


@pytest.fixture(scope="module")
def splitter(rig) -> Splitter:
    """A clip that opened its jaw fully and smiled up to a third."""
    rng = np.random.default_rng(1)
    weights = np.zeros((400, len(SHAPES)))
    weights[:, index("jawOpen")] = rng.uniform(0, 1, 400)
    smile = rng.uniform(0, 0.33, 400)
    weights[:, [index("mouthSmileLeft"), index("mouthSmileRight")]] = smile[:, None]
    landmarks = rig.neutral[LANDMARKS68] + np.tensordot(weights, rig.shapes68, 1)
    ones, zeros = np.ones((400, 2)), np.zeros((400, 2))
    poses = np.tile(np.eye(4), (400, 1, 1))
    motion = Motion(25.0, landmarks, ones, zeros, zeros, poses, np.ones(400, bool))
    return rig.splitter(MotionBasis.fit(motion))


def asked(**weights: float) -> np.ndarray:
    out = np.zeros((1, len(SHAPES)))
    for name, value in weights.items():
        for side in ("Left", "Right"):
            out[0, index(name if name in SHAPES else name + side)] = value
    return out


def moved(splitter: Splitter, code: np.ndarray, weights: np.ndarray) -> np.ndarray:
    face = np.concatenate([MOUTH_GROUP, UPPER_GROUP])
    return (splitter.basis.decode(code) + np.tensordot(weights, splitter.shapes68, 1) - splitter.basis.mean)[:, face]


@pytest.mark.parametrize("name", ["mouthSmile", "browDown", "jawOpen", "mouthUpperUp", "mouthFrown"])
def test_the_movement_is_kept(splitter, name: str) -> None:
    weights = asked(**{name: 1.0})
    code = np.zeros((1, splitter.basis.size))
    got = moved(splitter, *splitter.split(code, weights))
    wanted = moved(splitter, code, weights)
    assert np.abs(got - wanted).max() < 5e-4 and np.abs(wanted).max() > 2e-3


def test_what_the_clip_showed_comes_from_codes(splitter) -> None:
    code = np.zeros((1, splitter.basis.size))
    _, weights = splitter.split(code, asked(mouthSmile=0.15))
    assert weights[0, index("mouthSmileLeft")] < 0.03
    _, weights = splitter.split(code, asked(mouthSmile=1.0))
    assert 0.5 < weights[0, index("mouthSmileLeft")] < 0.95
    _, weights = splitter.split(code, asked(browDown=1.0))
    assert weights[0, index("browDownLeft")] > 0.95


def test_codes_stay_in_the_clips_range(splitter) -> None:
    code, _ = splitter.split(np.zeros((1, splitter.basis.size)), asked(mouthSmile=1.0, jawOpen=1.0))
    assert (code <= splitter.basis.high + 0.1).all() and (code >= splitter.basis.low - 0.1).all()


def test_nothing_asked_changes_nothing(splitter) -> None:
    rng = np.random.default_rng(0)
    code = rng.normal(size=(5, splitter.basis.size))
    weights = np.zeros((5, len(SHAPES)))
    weights[2, index("mouthPucker")] = 0.5
    new, left = splitter.split(code, weights)
    np.testing.assert_array_equal(new[[0, 1, 3, 4]], code[[0, 1, 3, 4]])
    assert not left[[0, 1, 3, 4]].any()
    new, left = splitter.split(code, np.zeros((5, len(SHAPES))))
    np.testing.assert_array_equal(new, code)


def test_frames_do_not_depend_on_each_other(splitter) -> None:
    rng = np.random.default_rng(3)
    code = rng.normal(size=(6, splitter.basis.size)) * 0.5
    weights = np.abs(rng.normal(size=(6, len(SHAPES)))) * 0.4
    together = splitter.split(code, weights)
    for i in range(6):
        alone = splitter.split(code[i : i + 1], weights[i : i + 1])
        np.testing.assert_allclose(together[0][i], alone[0][0], atol=1e-6)
        np.testing.assert_allclose(together[1][i], alone[1][0], atol=1e-6)
    assert set(LIPS) <= set(MOUTH_GROUP)
