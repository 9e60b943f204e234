"""Frame counts, rotations and resampling against SciPy and arithmetic."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtalk.talk import MotionResampler, frame_count, interpolate, resample_motion
from gtalk.talk.interpolate import first_sample, resampled_count
from gtalk.types import Motion
from tests.support.toys import motion_of


@given(
    st.integers(0, 10**9),
    st.sampled_from(
        [
            (25.0, 25),
            (29.97, Fraction(30_000, 1001)),
            (30.0, 30),
            (23.976, Fraction(24_000, 1001)),
            (12.5, Fraction(25, 2)),
        ]
    ),
)
def test_frame_count_is_exact(n_samples, rate):
    fps, exact = rate
    count = frame_count(n_samples, fps)
    assert (
        Fraction(count - 1) / exact < Fraction(n_samples, 16_000) <= Fraction(count) / exact or count == n_samples == 0
    )
    assert first_sample(count, fps) >= n_samples
    assert count == 0 or first_sample(count - 1, fps) <= n_samples


def test_resampled_count():
    assert resampled_count(25, 25.0, 25.0) == 25
    assert resampled_count(25, 25.0, 29.97) == 30
    assert resampled_count(1, 25.0, 60.0) == 3
    assert resampled_count(3, 25.0, 12.5) == 2


def test_interpolate_keeps_whole_positions_exact_and_marks_half_seen_frames():
    motion = motion_of(np.linspace(0, 0.03, 5)).replace(
        valid=np.array([True, False, True, True, True]), channels={"torso": np.arange(20.0).reshape(5, 4)}
    )
    out = interpolate(motion, np.array([0, 0.5, 2.0, 2.5, 9.0]), 50.0)
    np.testing.assert_array_equal(out.head_pose[[0, 2, 4]], motion.head_pose[[0, 2, 4]])
    np.testing.assert_array_equal(out.valid, [True, False, True, True, True])
    np.testing.assert_allclose(out.channels["torso"][1], motion.channels["torso"][:2].mean(0))
    assert out.fps == 50.0


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 60), st.lists(st.integers(0, 60), max_size=6),
    st.sampled_from([25.0, 24.0, 30.0]), st.sampled_from([10.0, 25.0, 29.97, 50.0]),
)  # fmt: skip
def test_resampling_in_pieces_equals_the_whole(count, cuts, from_fps, to_fps):
    motion = motion_of(np.linspace(0, 0.03, count), fps=from_fps)
    whole = resample_motion(motion, to_fps)
    assert len(whole) == resampled_count(count, from_fps, to_fps)
    edges = [0, *sorted(min(c, count) for c in cuts), count]
    resampler = MotionResampler(from_fps, to_fps)
    parts = [resampler.push(motion[a:b]) for a, b in pairwise(edges)]
    parts.append(resampler.finish(len(whole)))
    pieces = Motion.concatenate([p for p in parts if p is not None and len(p)])
    np.testing.assert_array_equal(pieces.landmarks, whole.landmarks)
    np.testing.assert_array_equal(pieces.head_pose, whole.head_pose)


def test_same_rate_is_the_identity():
    motion = motion_of(np.linspace(0, 0.03, 20))
    out = resample_motion(motion, 25.0)
    for name in ("landmarks", "eyes", "head_pose"):
        np.testing.assert_array_equal(getattr(out, name), getattr(motion, name))


def test_empty_input_gives_nothing():
    resampler = MotionResampler(25.0, 30.0)
    assert resampler.push(motion_of(np.zeros(0))) is None
    assert resampler.finish(0) is None
    with pytest.raises(ValueError, match="fps"):
        MotionResampler(25.0, float("nan"))
