import numpy as np
import pytest

from gtalk.geometry.pose import pose_vectors
from gtalk.motion.base import MotionEdit
from gtalk.motion.edits.controls import ControlEdit, Controls
from gtalk.motion.model.face import signed_aperture
from gtalk.types import Motion
from tests.motion.talking import motion_of_openness

FIELDS = ("landmarks", "eyes", "gaze", "brows", "head_pose")


@pytest.fixture(scope="module")
def motion() -> Motion:
    return motion_of_openness(np.clip(np.sin(np.arange(400) / 5.0), 0, 1), seed=3)


def test_the_defaults_change_no_ordinary_motion(model, motion: Motion) -> None:
    edit = ControlEdit(model, Controls())
    assert isinstance(edit, MotionEdit)
    edited = edit(motion)
    for name in FIELDS:
        np.testing.assert_allclose(getattr(edited, name), getattr(motion, name), atol=5e-4)


def test_mouth_expression_and_pose_scale(model, motion: Motion) -> None:
    edited = ControlEdit(model, Controls(mouth=0.5, expression=2.0, pose=0.5, lle=0.0))(motion)
    assert np.ptp(signed_aperture(edited.landmarks)) == pytest.approx(
        0.5 * np.ptp(signed_aperture(motion.landmarks)), rel=0.02
    )
    np.testing.assert_allclose(edited.brows, 2 * motion.brows)
    mean = model.mean_pose
    np.testing.assert_allclose(
        pose_vectors(edited.head_pose, mean), 0.5 * pose_vectors(motion.head_pose, mean), atol=1e-6
    )
    brow = slice(17, 27)
    moved = edited.landmarks[:, brow, 1].mean(1) - motion.landmarks[:, brow, 1].mean(1)
    assert np.corrcoef(moved, motion.brows[:, 0])[0, 1] > 0.95


def test_offsets(model, motion: Motion) -> None:
    edited = ControlEdit(model, Controls(gaze_offset_rad=(0.1, -0.05), pose_offset_rad=(0.0, 0.2, 0.0)))(motion)
    np.testing.assert_allclose(edited.gaze - motion.gaze, np.broadcast_to([0.1, -0.05], (400, 2)))
    relative = motion.head_pose[:, :3, :3].transpose(0, 2, 1) @ edited.head_pose[:, :3, :3]
    np.testing.assert_allclose(np.arccos((np.trace(relative, axis1=1, axis2=2) - 1) / 2), 0.2, atol=1e-6)
    assert np.abs(edited.channels["torso"] - motion.channels["torso"]).max() > 1e-4


def test_blinks_become_fewer_and_lids_follow(model, motion: Motion) -> None:
    closed = int((np.diff((motion.eyes[:, 0] < 0.5).astype(int)) == 1).sum())
    assert closed >= 6
    none = ControlEdit(model, Controls(blink_rate=0.0))(motion)
    assert none.eyes.min() >= 0.8
    lid = motion.landmarks[:, [37, 38, 43, 44], 1].mean(1)
    assert np.ptp(none.landmarks[:, [37, 38, 43, 44], 1].mean(1)) < 0.5 * np.ptp(lid)
    many = motion_of_openness(np.zeros(12_000))
    half = ControlEdit(model, Controls(blink_rate=0.5), seed=1)(many)
    left = (np.diff((half.eyes[:, 0] < 0.5).astype(int)) == 1).sum()
    assert left / (np.diff((many.eyes[:, 0] < 0.5).astype(int)) == 1).sum() == pytest.approx(0.5, abs=0.12)


def test_chunks_do_not_matter_and_reset_forgets(model, motion: Motion) -> None:
    controls = Controls(mouth=1.2, smoothing_s=0.12, blink_rate=0.5, pose=0.7, lle=0.5)
    edit = ControlEdit(model, controls)
    whole = edit(motion)
    edit.reset()
    parts = Motion.concatenate([edit(motion[a:b]) for a, b in ((0, 1), (1, 1), (1, 77), (77, 400))])
    for name in FIELDS:
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), atol=1e-9)


def test_smoothing_calms(model, motion: Motion) -> None:
    smooth = ControlEdit(model, Controls(smoothing_s=0.2))(motion)
    for field in ("landmarks", "gaze"):
        quick, slow = (np.abs(np.diff(getattr(m, field), 2, axis=0)).mean() for m in (motion, smooth))
        assert slow < 0.6 * quick
