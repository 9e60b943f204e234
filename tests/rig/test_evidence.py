"""A clip corrects the shapes that it shows, and no others."""

import numpy as np
import pytest

from gtalk.rig.evidence import weigh
from gtalk.rig.person import PersonRig
from gtalk.rig.shapes import ARKIT, SHAPES, index, neutral, settle
from gtalk.rig.weights import weights_of_motion
from gtalk.topology import LANDMARKS68
from gtalk.types import Motion

SMILES = [index("mouthSmileLeft"), index("mouthSmileRight")]


@pytest.fixture(scope="module")
def sculpted() -> PersonRig:
    return PersonRig.of_mesh(neutral())


@pytest.fixture(scope="module")
def true_shapes(sculpted) -> np.ndarray:
    """Somebody whose smile goes more up than out, and whose jaw falls less."""
    out = sculpted.shapes.copy()
    out[SMILES] *= [0.6, 1.3, 1.0]
    out[index("jawOpen")] *= 0.85
    settle(out, sculpted.neutral)
    return out


def clip(sculpted: PersonRig, shapes: np.ndarray, scores: bool = False) -> Motion:
    rng = np.random.default_rng(4)
    count = 400
    weights = np.zeros((count, len(SHAPES)))
    weights[:, index("jawOpen")] = np.clip(rng.normal(0.2, 0.3, count), 0, 1)
    weights[:, SMILES] = np.clip(rng.normal(0.0, 0.5, count), 0, 1)[:, None]
    points = sculpted.neutral + np.tensordot(weights, shapes, 1) + 2e-4 * rng.normal(size=(count, 478, 3))
    zeros, poses = np.zeros((count, 2)), np.tile(np.eye(4), (count, 1, 1))
    channels = {"landmarks478": points.astype(np.float32)}
    if scores:
        order = sorted(set(ARKIT) - {"tongueOut"})
        table = np.stack([np.zeros(count), *(weights[:, index(name)] / 1.3 for name in order)], axis=1)
        channels["arkit52"] = table.astype(np.float32)
    valid = np.ones(count, bool)
    valid[::50] = False
    return Motion(25.0, points[:, LANDMARKS68], zeros + 1, zeros, zeros, poses, valid, channels)


@pytest.mark.parametrize("scores", [False, True])
def test_what_was_shown_becomes_the_persons(sculpted, true_shapes, scores: bool) -> None:
    found = weigh(clip(sculpted, true_shapes, scores), sculpted.neutral, sculpted.shapes)

    def error(shapes: np.ndarray, columns: list[int]) -> float:
        return float(np.linalg.norm((shapes - true_shapes)[columns]))

    for columns in (SMILES, [index("jawOpen")]):
        before, after = error(sculpted.shapes, columns), error(found.shapes, columns)
        assert after < (0.75 if scores else 0.995) * before
    assert found.seen[SMILES].min() > 0.7 and found.share[SMILES].min() > 0.3
    assert found.seen[index("browInnerUp")] < 0.1 and found.share[index("cheekPuff")] == 0.0


def test_another_clip_of_the_person_is_explained_better(sculpted, true_shapes) -> None:
    first, second = clip(sculpted, true_shapes)[:200], clip(sculpted, true_shapes)[200:]
    found = weigh(first, sculpted.neutral, sculpted.shapes)

    def left(shapes: np.ndarray) -> float:
        weights = weights_of_motion(second, sculpted.neutral[LANDMARKS68], shapes[:, LANDMARKS68])
        made = np.tensordot(weights, shapes[[index(name) for name in ARKIT]], 1)
        moved = second.channels["landmarks478"] - sculpted.neutral
        return float(np.sqrt(((moved - made)[:, :468] ** 2).sum(-1).mean()))

    assert left(found.shapes) < 0.85 * left(sculpted.shapes)


def test_what_was_not_shown_stays_as_sculpted(sculpted, true_shapes) -> None:
    found = weigh(clip(sculpted, true_shapes, scores=True), sculpted.neutral, sculpted.shapes)
    for name in ("browDownLeft", "cheekPuffRight", "mouthPucker", "eyeBlinkLeft", "noseSneerLeft"):
        np.testing.assert_allclose(found.shapes[index(name)], sculpted.shapes[index(name)], atol=1e-6)


def test_a_person_of_a_clip_may_go_beyond_what_was_seen(sculpted, true_shapes) -> None:
    rig = PersonRig.of_motion(clip(sculpted, true_shapes))
    assert (rig.most >= 1.0).all() and rig.most[SMILES].max() <= 1.3
    assert rig.evidence.min() >= 0.0 and rig.evidence.max() < 1.0
