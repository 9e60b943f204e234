import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtalk.direct.recipes import check_own
from gtalk.direct.score import Event, Score
from gtalk.direct.score_edit import ScoreEdit, beyond_range, head_range
from gtalk.errors import UserError
from gtalk.geometry.pose import pose_vectors
from gtalk.motion.base import EditChain, EventEdit
from gtalk.motion.edits.emotion import shown_opening
from gtalk.rig.expression import recipes
from gtalk.rig.shapes import index
from gtalk.types import Motion
from tests.direct.test_composer import events
from tests.motion.talking import motion_of_openness


@pytest.fixture(scope="module")
def motion() -> Motion:
    openness = np.clip(np.sin(np.arange(300) / 5.0), 0, 1)
    openness[200:] = 0.0
    return motion_of_openness(openness, seed=3).replace(channels={})


def degrees(model, directed: Motion, motion: Motion) -> np.ndarray:
    """Yaw to the right, pitch up, roll clockwise that were added."""
    added = pose_vectors(directed.head_pose, model.mean_pose) - pose_vectors(motion.head_pose, model.mean_pose)
    return np.rad2deg(added[:, [1, 0, 2]] * [1, -1, -1])


def test_an_empty_score_changes_nothing(model, motion) -> None:
    edit = ScoreEdit(model)
    assert isinstance(edit, EventEdit) and edit(motion) is motion


@settings(max_examples=8)
@given(st.lists(events(), min_size=1, max_size=6), st.lists(st.integers(0, 120), max_size=5))
def test_cuts_change_no_bit(model, motion, asked, cuts) -> None:
    score = Score((*asked, Event("attend.yaw", 30.0, 1.0, 3.0)))
    whole = ScoreEdit(model, score)(motion[:120])
    edit, cuts = ScoreEdit(model, score), sorted([0, *cuts, 120])
    parts = Motion.concatenate([edit(motion[a:b], a) for a, b in itertools.pairwise(cuts)])
    for name in ("landmarks", "eyes", "gaze", "head_pose"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name)), name
    if "expression" in whole.channels:
        assert np.array_equal(whole.channels["expression"], parts.channels["expression"])


def test_a_smile_is_there_from_its_start_and_the_opening_stays(model, motion) -> None:
    directed = ScoreEdit(model, Score((Event("emotion.smile", 0.8, 3.0, 5.0),)))(motion)
    smile = directed.channels["expression"][:, index("mouthSmileLeft")]
    assert smile[75:125].min() == pytest.approx(0.6, abs=0.02)
    assert smile[:58].max() == 0.0 and smile[142:].max() == 0.0
    assert np.corrcoef(shown_opening(directed)[:190], shown_opening(motion)[:190])[0, 1] > 0.95


def test_head_orders(model, motion) -> None:
    turn, nods = Event("head.turn", 3.0, 1.0, 3.0), Event("head.nod", 4.0, 5.0, 6.2, times=2)
    asked = (turn, nods, Event("head.shake", 3.0, 7.5, 8.6, times=2))
    edit = ScoreEdit(model, Score(asked))
    still = motion.replace(head_pose=np.repeat(model.mean_pose[None], len(motion), axis=0))
    yaw, pitch, _ = degrees(model, edit(still), still).T
    assert yaw[25:75] == pytest.approx(3.0, abs=0.5)
    nods = np.flatnonzero((pitch[1:-1] < pitch[:-2]) & (pitch[1:-1] <= pitch[2:]) & (pitch[1:-1] < -1.0)) + 1
    assert len(nods) == 2
    assert yaw[187:216].max() > 1.5 and yaw[187:216].min() < -1.5
    assert np.abs(pitch[:120]).max() < 1e-9


@given(st.floats(-45, 45), st.floats(-30, 30), st.floats(-30, 30), st.floats(0, 30))
@settings(max_examples=10)
def test_the_head_never_leaves_the_clip(model, motion, turn, raised, tilt, nod) -> None:
    asked = [Event("head.turn", turn), Event("head.raise", raised), Event("head.tilt", tilt)]
    asked += [Event("head.nod", nod, 1.0, 3.0, times=3), Event("head.lean", 8.0)]
    room = head_range(model)
    own = pose_vectors(motion.head_pose[:100], model.mean_pose)
    vectors = pose_vectors(ScoreEdit(model, Score(tuple(asked)))(motion[:100]).head_pose, model.mean_pose)
    assert (vectors <= np.maximum(room.high, own) + 1e-9).all() and (vectors >= np.minimum(room.low, own) - 1e-9).all()
    far = beyond_range([Event("head.turn", 44.0)], model)
    assert len(far) == 1 and "the clip shows" in far[0]


def test_still_holds_the_head_and_blinks_are_held(model, motion) -> None:
    asked = (Event("head.still", 1.0, 2.0), Event("blink.natural", 0.0, 0.0))
    directed = ScoreEdit(model, Score(asked))(motion)
    vectors = pose_vectors(directed.head_pose, model.mean_pose)
    assert np.abs(np.diff(vectors[75:], axis=0)).max() < 1e-6
    assert motion.eyes.min() < 0.2 and directed.eyes.min() > 0.99


def test_blinks_that_are_asked_for(model, motion) -> None:
    open_eyes = motion.replace(eyes=np.ones((len(motion), 2)))
    directed = ScoreEdit(model, Score((Event("blink", 1.0, 4.0, 4.8, times=2),)))(open_eyes)
    shut = directed.eyes.mean(1) < 0.5
    assert (np.diff(shut.astype(int)) == 1).sum() == 2 and not shut[:98].any() and not shut[122:].any()
    assert not np.array_equal(directed.landmarks[:, 36:48], open_eyes.landmarks[:, 36:48])


def test_gaze_is_held_where_it_is_asked_to_look(model, motion) -> None:
    directed = ScoreEdit(model, Score((Event("gaze.pitch", -12.0, 1.0, 6.0), Event("gaze.yaw", 0.0, 1.0, 6.0))))(motion)
    shift = np.rad2deg((directed.gaze - motion.gaze)[:, 1])
    looked = directed.channels["expression"][:, index("eyeLookDownLeft")]
    assert (looked[40:140] > 0.05).all() or shift[40:140].max() < -6
    assert directed.gaze[40:140].std(0).max() < motion.gaze[40:140].std(0).max()
    gap = np.rad2deg(0.6 * looked[40:140]) - np.rad2deg(directed.gaze[40:140, 1] - model.eyes.gaze_mean[1])
    assert np.median(gap) == pytest.approx(12.0, abs=4.0)


def test_articulation_scales_the_mouth_within_its_word(model, motion) -> None:
    asked = (
        Event("articulation.jaw", 1.5, 2.0, 4.0, 0.06, 0.06),
        Event("articulation.lips", 1.5, 2.0, 4.0, 0.06, 0.06),
    )
    directed = ScoreEdit(model, Score(asked))(motion)
    before, after = shown_opening(motion), shown_opening(directed)
    rest = np.median(before[230:])
    wide = np.flatnonzero(before[50:100] - rest > 0.006) + 50
    ratio = (after[wide] - rest) / (before[wide] - rest)
    assert 1.35 < np.median(ratio) < 1.65
    assert np.array_equal(after[:40], before[:40]) and np.array_equal(after[115:], before[115:])


def test_events_come_late_and_scores_are_replaced(model, motion) -> None:
    chain = EditChain([lambda: ScoreEdit(model)])
    first = chain(motion[:50])
    assert "expression" not in first.channels
    chain.post(Event("emotion.smile", 0.8, 0.0, 6.0))
    second = chain(motion[50:120])
    smile = second.channels["expression"][:, index("mouthSmileLeft")]
    assert smile[:3].max() == 0.0 and smile[-1] == pytest.approx(0.6, abs=0.02)
    chain.post(Score((Event("emotion.sad", 1.0, 0.0),)))
    third = chain(motion[120:200])
    assert abs(third.channels["expression"][0, index("mouthSmileLeft")] - smile[-1]) < 0.1
    assert third.channels["expression"][-1, index("browInnerUpLeft")] > 0.8
    chain.post("not for it")


def test_a_person_s_own_expression_is_a_track(model, motion) -> None:
    own = dataclasses.replace(model, expressions={"Laugh": dataclasses.replace(recipes()["smile"], name="Laugh")})
    asked = (Event("emotion.own.laugh", 0.8, 0.0), Event("region.brows", "own.laugh:0.5", 0.0))
    for person, is_there in ((own, True), (model, False)):
        directed = ScoreEdit(person, Score(asked))(motion[:2])
        assert (directed.channels["expression"][1, index("mouthSmileLeft")] > 0.5) == is_there
    check_own(asked, own.expressions)
    with pytest.raises(UserError, match="--expressions TAKE"):
        check_own(asked, model.expressions)
