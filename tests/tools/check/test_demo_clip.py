from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from demo_person.truth import load_truth
from tools.check.demo_clip import (
    BLOCK_FRAMES,
    along_and_across_m,
    constant_offset,
    head_jacobian,
    rms_px,
    without_constants,
)

FRAMES = 4 * BLOCK_FRAMES


@pytest.fixture(scope="module")
def truth():
    whole = load_truth(Path("data/demo"))
    return replace(whole, T_world_head=whole.T_world_head[:FRAMES], landmarks478=whole.landmarks478[:FRAMES])


def relabelled_px(truth, offset: np.ndarray) -> np.ndarray:
    """Errors [T,468,2] of a detector that means places `offset` [468,3] away on the head."""
    moved = truth.landmarks478.copy()
    moved[:, :468] += offset
    return (replace(truth, landmarks478=moved).points_px - truth.points_px)[:, :468]


def test_a_label_elsewhere_on_the_head_is_no_error_under_head_but_shows_when_raw(truth):
    offset = np.random.default_rng(0).normal(0.0, 0.003, (468, 3))
    error, jacobian = relabelled_px(truth, offset), head_jacobian(truth)
    image, head = without_constants(error, jacobian)
    assert rms_px(error) > 3.0
    assert 0.2 < rms_px(image) < 0.2 * rms_px(error)
    assert rms_px(head) < 0.02
    np.testing.assert_allclose(constant_offset(error, jacobian), offset, atol=2e-4)


def test_what_changes_in_time_is_not_taken_for_a_constant(truth):
    error = np.zeros((FRAMES, 468, 2))
    error[: FRAMES // 4] = [2.0, 0.0]
    jacobian = head_jacobian(truth)
    for left in without_constants(error, jacobian):
        assert rms_px(left) > 0.8 * rms_px(error)


def test_offsets_along_and_across_the_skin_are_told_apart(truth):
    shape = truth.landmarks478.mean(0)
    nose, forward = 4, np.zeros((468, 3))
    forward[nose, 2], sideways = 0.01, np.zeros((468, 3))
    sideways[nose, 0] = 0.01
    along, across = along_and_across_m(forward, shape)
    assert across > 2 * along
    along, across = along_and_across_m(sideways, shape)
    assert along > 5 * across
