import itertools

import numpy as np
import pytest

from gtalk.basis import MOUTH_GROUP, mouth_aperture
from gtalk.direct.at_work import directed
from gtalk.direct.composer import LATE_S
from gtalk.direct.keys import REACH_S, KeyEdit, measures_of, plan_keys
from gtalk.direct.live_keys import LIVE_REACH_S, LiveKeys
from gtalk.direct.score import Event, Score
from gtalk.errors import UserError
from gtalk.motion.base import EditChain
from gtalk.types import Motion
from tests.motion.talking import motion_of_openness


@pytest.fixture(scope="module")
def motion(model) -> Motion:
    """Speech as the person's codes say it."""
    openness = np.clip(0.5 + 0.5 * np.sin(np.arange(250) / 4.0), 0, 1)
    own = motion_of_openness(openness, seed=5)
    code = model.basis.encode(own)
    return own.replace(landmarks=model.basis.decode(code), channels={})


def keyed(model, motion: Motion, *keys: Event) -> Motion:
    return KeyEdit(plan_keys(keys, model, iter([motion[:100], motion[100:]])))(motion)


def test_a_key_is_met_and_nothing_changes_beyond_its_reach(model, motion) -> None:
    wanted = measures_of(model)["key.open"].wanted_m(0.7)
    after = keyed(model, motion, Event("key.open", 0.7, 4.0))
    assert mouth_aperture(after.landmarks)[100] == pytest.approx(wanted, abs=3e-4)
    reach = round(REACH_S * motion.fps)
    outside = np.r_[0 : 100 - reach, 101 + reach : len(motion)]
    assert np.array_equal(after.landmarks[outside], motion.landmarks[outside])
    assert after.eyes is motion.eyes and after.head_pose is motion.head_pose


def test_closures_survive_two_hundred_keys(model, motion) -> None:
    rng = np.random.default_rng(0)
    rest = measures_of(model)["key.open"].wanted_m(0.0)
    before = mouth_aperture(motion.landmarks)
    shut = before - rest < 1e-3
    for _ in range(200):
        instant, value = float(rng.uniform(1.0, 9.0)), float(rng.uniform(0, 1))
        after = mouth_aperture(keyed(model, motion, Event("key.open", value, instant)).landmarks)
        near = np.abs(np.arange(len(motion)) - round(instant * 25)) <= 1
        assert (after[shut & ~near] - before[shut & ~near]).max() < 2e-4
        assert after[round(instant * 25)] == pytest.approx(measures_of(model)["key.open"].wanted_m(value), abs=3e-4)


def test_neighbours_follow_smoothly(model, motion) -> None:
    before = mouth_aperture(motion.landmarks)
    ratios = []
    for frame in range(40, 200, 7):
        now = (before[frame] - before.min()) / np.ptp(before)
        after = mouth_aperture(
            keyed(model, motion, Event("key.open", float(np.clip(now + 0.25, 0, 1)), frame / 25)).landmarks
        )
        jerk = [np.sqrt(np.mean(np.diff(x, 3) ** 2)) for x in (after, before)]
        ratios.append(jerk[0] / jerk[1])
    assert np.median(ratios) < 1.2


def test_lips_do_not_pass_through_each_other(model, motion) -> None:
    rest = measures_of(model)["key.open"].wanted_m(0.0)
    before = mouth_aperture(motion.landmarks)
    for frame in range(40, 200, 9):
        after = mouth_aperture(keyed(model, motion, Event("key.open", 0.0, frame / 25)).landmarks)
        assert (after - np.minimum(before, rest)).min() > -2e-4


def test_keys_from_another_motion_make_its_mouth(model, motion, tmp_path) -> None:
    motion.save(tmp_path / "other.motion.npz")
    after = keyed(model, motion, Event("key.frame", f"{tmp_path}/other.motion.npz@2.0", 6.0))
    np.testing.assert_allclose(after.landmarks[150, MOUTH_GROUP], motion.landmarks[50, MOUTH_GROUP], atol=3e-4)
    for wrong, says in (("other.motion.npz", "joined by @"), (f"{tmp_path}/other.motion.npz@99", "an earlier one")):
        with pytest.raises(UserError, match=says):
            keyed(model, motion, Event("key.frame", wrong, 6.0))


def test_several_keys_that_reach_each_other(model, motion) -> None:
    keys = [Event("key.open", value, 4.0 + 0.16 * i) for i, value in enumerate((0.2, 0.9, 0.3, 0.8))]
    after = mouth_aperture(keyed(model, motion, *keys, Event("key.wide", 0.5, 4.0)).landmarks)
    for key in keys:
        wanted = measures_of(model)["key.open"].wanted_m(float(key.value))
        assert after[round(key.start_s * 25)] == pytest.approx(wanted, abs=3e-4)


def test_a_key_beyond_the_motion_is_a_sentence(model, motion) -> None:
    with pytest.raises(UserError, match=r"within the 10\.00 s"):
        plan_keys([Event("key.open", 0.5, 12.0)], model, iter([motion]))


def test_scores_with_keys_know_what_is_to_come(model, motion) -> None:
    score = Score((Event("key.open", 0.7, 4.0), Event("articulation.jaw", 1.3, 1.0, 3.0)))
    told = directed(model, score, lambda makers: iter([EditChain(makers)(motion)]))
    after = EditChain(told.edits)(motion)
    assert mouth_aperture(after.landmarks)[100] == pytest.approx(measures_of(model)["key.open"].wanted_m(0.7), abs=3e-4)
    with pytest.raises(UserError, match="motion model"):
        directed(None, score, lambda makers: iter([]))


def drawn(model, motion: Motion, *events: Event, cuts: tuple[int, ...] = (0, 250)) -> Motion:
    edit = LiveKeys(model)
    edit.receive(Score(events))
    return Motion.concatenate([edit(motion[a:b], a) for a, b in itertools.pairwise(cuts)])


def test_live_keys_are_met_shared_and_local_however_the_frames_are_cut(model, motion) -> None:
    measures, reach = measures_of(model), round(LIVE_REACH_S * 25)
    keys = (Event("key.open", 0.3, 2.0), Event("key.open", 0.8, 2.12), Event("key.wide", 0.5, 2.0))
    after = drawn(model, motion, *keys)
    opening = mouth_aperture(after.landmarks)
    assert opening[50] == pytest.approx(measures["key.open"].wanted_m(0.3), abs=1e-4)
    assert opening[53] == pytest.approx(measures["key.open"].wanted_m(0.8), abs=1e-4)
    outside = np.r_[0 : 51 - reach, 53 + reach : 250]
    assert np.array_equal(after.landmarks[outside], motion.landmarks[outside])
    cut = drawn(model, motion, *keys, cuts=(0, 1, 47, 52, 53, 250))
    assert np.array_equal(after.landmarks, cut.landmarks)


def test_live_keys_leave_lips_that_speech_shuts_shut_and_none_cross(model, motion) -> None:
    before, rest = mouth_aperture(motion.landmarks), measures_of(model)["key.open"].wanted_m(0.0)
    shut = before - rest < 1e-3
    rng = np.random.default_rng(0)
    for at, value in zip(rng.uniform(1, 5, 20), rng.uniform(0, 1, 20), strict=True):
        after = mouth_aperture(drawn(model, motion, Event("key.open", float(value), float(at))).landmarks)
        near = np.abs(np.arange(250) - round(at * 25)) <= 1
        assert (after - before)[shut & ~near].max() < 2e-4
        assert (after - np.minimum(before, rest))[~near].min() > -2e-4


def test_a_live_key_that_comes_late_begins_after_now_and_what_is_over_is_left_out(model, motion) -> None:
    edit = LiveKeys(model)
    first = edit(motion[:50], 0)
    edit.receive([Event("key.open", 1.0, 1.0), Event("key.open", 1.0, 2.04), Event("emotion.smile")])
    opening = mouth_aperture(Motion.concatenate([first, edit(motion[50:], 50)]).landmarks)
    asked = round((2.0 + LATE_S) * 25)
    assert opening[asked] == pytest.approx(measures_of(model)["key.open"].wanted_m(1.0), abs=1e-4)
    assert np.array_equal(opening[:51], mouth_aperture(motion.landmarks)[:51])
    edit.receive("not for it")


def test_a_live_mouth_of_another_motion(model, motion, tmp_path) -> None:
    motion.save(tmp_path / "other.motion.npz")
    after = drawn(model, motion, Event("key.frame", f"{tmp_path}/other.motion.npz@2.0", 4.0))
    np.testing.assert_allclose(after.landmarks[100, MOUTH_GROUP], motion.landmarks[50, MOUTH_GROUP], atol=3e-4)
