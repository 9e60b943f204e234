"""Pose codes and the torso that nobody tracked."""

from __future__ import annotations

import numpy as np
import pytest

from gtalk.avatar.pose_code import PoseCode
from gtalk.types import TORSO_BEND, Motion
from tests.support.synthetic_dataset import make_synthetic_dataset


@pytest.fixture(scope="module")
def motion(tmp_path_factory) -> Motion:
    return make_synthetic_dataset(tmp_path_factory.mktemp("ds"), n_frames=60, size=16).motion


def test_codes_of_the_clip_are_bounded_and_centred(motion: Motion) -> None:
    code = PoseCode.fit(motion, np.zeros(60, int))
    values = code.encode(motion.head_pose)
    assert values.shape == (60, 6) and np.abs(values[:, :3].mean(0)).max() < 1e-9
    assert np.abs(values).max() < 4.0


def test_a_pose_far_away_is_clamped(motion: Motion) -> None:
    code = PoseCode.fit(motion, np.zeros(60, int))
    far = motion.head_pose[:1].copy()
    far[0, :3, 3] += 5.0
    margin = 0.25 * (code.high - code.low)
    assert (code.encode(far)[0] <= code.high + margin + 1e-12).all()


def test_the_torso_is_predicted_from_the_head_where_it_was_not_tracked(motion: Motion) -> None:
    code = PoseCode.fit(motion[::2], np.zeros(30, int))
    predicted = code.torso_and_framing(motion[1::2].replace(channels={}))[:, :4]
    truth = motion.channels["torso"][1::2]
    assert np.abs(predicted - truth).max() < 0.1 * np.ptp(truth[:, 0])
    tracked = code.torso_and_framing(motion[1::2])
    assert np.array_equal(tracked[:, :4], truth)


def test_a_cut_does_not_teach_the_torso_to_jump(motion: Motion) -> None:
    torso = motion.channels["torso"].copy()
    torso[30:] += [0.2, 0.0, 0.0, 0.0]  # the person sits elsewhere after the cut, the head as before
    cut = motion.replace(channels={"torso": torso, "framing": motion.channels["framing"]})
    code = PoseCode.fit(cut, np.repeat([0, 1], 30))
    slope = PoseCode.fit(motion, np.zeros(60, int)).regression[1:, :4]
    assert np.allclose(code.regression[1:, :4], slope, atol=2e-3)


def test_places_are_head_torso_and_bend_within_the_clips_range(motion: Motion) -> None:
    code = PoseCode.fit(motion, np.zeros(60, int))
    places = code.places(motion)
    assert places.shape == (60, 14) and np.array_equal(places[:, :6], code.encode(motion.head_pose))
    shifted = motion.replace(channels={**motion.channels, "torso": motion.channels["torso"] + 1.0})
    limit = code.predicted_high[:4] + 0.25 * (code.predicted_high - code.predicted_low)[:4]
    assert np.allclose(code.places(shifted)[:, 6:10], limit / [0.02, 0.02, 0.03, 0.03])


def test_a_bend_is_a_few_numbers_of_deviation_one(motion: Motion) -> None:
    rng = np.random.default_rng(0)
    told = rng.normal(size=(60, 2)) * [0.01, 0.004]
    bend = told @ np.linalg.qr(rng.normal(size=(TORSO_BEND, 2)))[0].T + 0.3
    bent = motion.replace(channels={**motion.channels, "torso_bend": bend})
    code = PoseCode.fit(bent, np.zeros(60, int))
    values = code.encode_bend(bent)
    assert np.allclose(values[:, :2].std(0), 1.0) and not values[:, 2:].any()  # two directions, and no noise
    assert np.allclose(np.abs(np.corrcoef(values[:, 0], told[:, 0])[0, 1]), 1.0, atol=0.1)
    untracked = code.encode_bend(motion.replace(channels={}))
    assert np.isfinite(untracked).all() and np.abs(untracked).max() <= np.abs(values).max()


def test_arrays_round_trip_and_are_checked(motion: Motion) -> None:
    code = PoseCode.fit(motion, np.zeros(60, int))
    arrays = code.to_arrays()
    again = PoseCode.from_arrays(arrays)
    assert np.array_equal(again.places(motion), code.places(motion))
    with pytest.raises(ValueError, match="regression has shape"):
        PoseCode.from_arrays({**arrays, "regression": np.zeros((3, 3))})
    with pytest.raises(KeyError):
        PoseCode.from_arrays({n: v for n, v in arrays.items() if n != "low"})
