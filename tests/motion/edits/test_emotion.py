from collections.abc import Mapping
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest

from gtalk.basis import MotionBasis
from gtalk.errors import UserError
from gtalk.geometry.pose import pose_vectors
from gtalk.motion.base import EditChain, EventEdit
from gtalk.motion.edits.control_edit import ControlEdit
from gtalk.motion.edits.controls import Controls, word_specs
from gtalk.motion.edits.emotion import BAND_HZ, ExpressionEdit, read_emotion, shown_opening
from gtalk.motion.model.model import PersonMotionModel
from gtalk.rig.expression import Expression, Recipe, named, read_recipes
from gtalk.rig.shapes import SHAPES, index
from gtalk.types import Motion
from tests.motion.talking import motion_of_openness


@pytest.fixture(scope="module")
def motion() -> Motion:
    openness = np.clip(np.sin(np.arange(400) / 5.0), 0, 1)
    openness[250:] = 0.0
    return motion_of_openness(openness, seed=3)


def person(motion: Motion, expressions: Mapping[str, Recipe] = MappingProxyType({})) -> PersonMotionModel:
    """What an expression asks of a person, without the seconds that a training takes."""
    basis = MotionBasis.fit(motion)
    rest = basis.encode(motion[300:]).mean(0)[basis.groups["mouth"]]
    out = object.__new__(PersonMotionModel)
    vars(out).update(basis=basis, face=SimpleNamespace(rest=rest), mean_pose=motion.head_pose[0])
    vars(out).update(expressions=expressions)
    return out


@pytest.fixture(scope="module")
def model(motion: Motion) -> PersonMotionModel:
    return person(motion)


def test_no_expression_is_no_channel_and_no_change(model, motion: Motion) -> None:
    edit = ExpressionEdit(model)
    assert isinstance(edit, EventEdit)
    assert edit(motion) is motion


@pytest.mark.parametrize("name", ["happy", "surprised", "wink"])
def test_pieces_of_any_size_give_the_same(model, motion: Motion, name: str) -> None:
    whole = ExpressionEdit(model, named(name))(motion)
    cut = ExpressionEdit(model, named(name))
    parts = Motion.concatenate([cut(motion[a:b], a) for a, b in ((0, 1), (1, 7), (7, 200), (200, 400))])
    for field in ("landmarks", "head_pose", "gaze"):
        np.testing.assert_allclose(getattr(parts, field), getattr(whole, field), atol=1e-12)
    if "expression" in whole.channels:
        np.testing.assert_allclose(parts.channels["expression"], whole.channels["expression"], atol=1e-6)


def test_another_expression_is_eased_to_within_the_band(model, motion: Motion) -> None:
    chain = EditChain([lambda: ExpressionEdit(model)])
    first = chain(motion[250:260])
    chain.post(Expression({"browInnerUpLeft": 1.0}))
    rest = chain(motion[260:400])
    assert "expression" not in first.channels
    rise = rest.channels["expression"][:, index("browInnerUpLeft")]
    assert rise[0] == 0.0
    assert rise[-1] == pytest.approx(1.0, abs=1e-3)
    assert (np.diff(rise) >= -1e-7).all()
    assert np.diff(rise).max() * motion.fps < 2.0 * np.pi * BAND_HZ / 2.0


def test_closures_of_speech_are_shut_again(model) -> None:
    openness = np.abs(np.sin(np.arange(300) / 4.0))
    openness[200:] = 0.0
    motion = motion_of_openness(openness, seed=3)
    spoken = shown_opening(motion)
    parting = Expression({"mouthUpperUpLeft": 0.8, "mouthUpperUpRight": 0.8, "jawOpen": 0.2})
    added = shown_opening(ExpressionEdit(model, parting)(motion)) - spoken
    shut = np.flatnonzero(spoken[20:200] - spoken[290] < 1.2e-3) + 20
    assert len(shut) > 5
    assert np.median(added[shut]) < 0.5 * added[290]
    assert added[290] > 1e-3  # in silence the expression keeps what opening it has


def test_the_opening_keeps_its_shape_and_silence_is_still(model, motion: Motion) -> None:
    spoken = shown_opening(motion)
    for name in ("happy", "angry", "sad", "surprised"):
        shown = shown_opening(ExpressionEdit(model, named(name))(motion))
        assert np.corrcoef(shown[:240], spoken[:240])[0, 1] > 0.95, name
        assert np.abs(np.diff(shown[275:])).max() < 4e-4


def test_the_head_leans_and_the_torso_with_it(model, motion: Motion) -> None:
    edited = ExpressionEdit(model, Expression(head_deg=(10.0, 5.0, 0.0), gaze_deg=(0.0, -5.0)))(motion)
    turn = pose_vectors(edited.head_pose, model.mean_pose) - pose_vectors(motion.head_pose, model.mean_pose)
    nose = edited.head_pose[0, :3, :3] @ [0.0, 0.0, 1.0] - motion.head_pose[0, :3, :3] @ [0.0, 0.0, 1.0]
    assert nose[0] > 0.1  # to the image's right
    assert nose[1] > 0.05  # up
    assert np.abs(turn[:, :3]).max() > 0.1
    np.testing.assert_allclose(edited.gaze[:, 1] - motion.gaze[:, 1], np.deg2rad(-5.0), atol=1e-9)


def test_an_expression_that_is_there_already_is_added_to(model, motion: Motion) -> None:
    own = np.zeros((len(motion), len(SHAPES)), np.float32)
    own[:, index("browDownLeft")] = 0.25
    carried = motion.replace(channels={**motion.channels, "expression": own})
    edited = ExpressionEdit(model, Expression({"browDownLeft": 0.5}))(carried)
    np.testing.assert_allclose(edited.channels["expression"][:, index("browDownLeft")], 0.75, atol=1e-6)


def test_what_people_write() -> None:
    assert read_emotion("") == Expression()
    mixed = read_emotion("happy:.5,surprised:.3")
    assert mixed.weights == read_emotion("happy:0.5+surprised:0.3").weights
    assert set(read_emotion("sad@brows,eyes").weights) <= set(named("sad").weights)
    with pytest.raises(UserError, match="happy"):
        read_emotion("hapy")
    with pytest.raises(UserError, match="0 to 1"):
        read_emotion("happy:7")


def test_a_person_has_expressions_of_their_own(model, motion: Motion, tmp_path) -> None:
    (tmp_path / "bank.yaml").write_text("laugh: {says: as in a take, shapes: {mouthSmile: 0.9}}\n")
    owner = person(motion, read_recipes(tmp_path / "bank.yaml"))
    asked = Controls(emotion="own.laugh:0.5+browDown:0.2")
    weights = ControlEdit(owner, asked)(motion[260:300]).channels["expression"]
    assert weights[-1, index("mouthSmileRight")] == pytest.approx(0.45, abs=0.01)
    assert weights[-1, index("browDownLeft")] == pytest.approx(0.2, abs=0.01)
    for other, says in ((model, "of their own"), (owner, "laugh")):
        with pytest.raises(UserError, match=says):
            ControlEdit(other, Controls(emotion="own.smirk"))


def test_emotion_is_a_control(model, motion: Motion) -> None:
    assert [spec.name for spec in word_specs()] == ["emotion"]
    edited = ControlEdit(model, Controls(emotion="happy:0.6"))(motion)
    smile = edited.channels["expression"][:, index("mouthSmileLeft")]
    assert smile.mean() == pytest.approx(named("happy", 0.6).weights["mouthSmileLeft"], rel=0.05)
    with pytest.raises(UserError, match="happy"):
        Controls(emotion="hapy:0.6")
    live = ControlEdit(model, Controls())
    live(motion[:10])
    live.receive(Controls(emotion="sad"))
    assert live(motion[10:40], 10).channels["expression"][-1].max() > 0.5
