import numpy as np
import pytest

from gtalk.basis import mouth_aperture
from gtalk.errors import UserError
from gtalk.geometry.pose import pose_matrices, pose_vectors
from gtalk.motion.edits.control_edit import ControlEdit
from gtalk.motion.edits.controls import Controls
from gtalk.motion.produce import drive, drive_whole, edit_motion, reenact
from gtalk.types import Motion
from tests.motion.talking import motion_of_openness
from tests.speech.voices import babble

SPEECH = babble(3.0, seed=21)[0]


def test_driving_in_pieces_equals_driving_at_once(model) -> None:
    pieces = (SPEECH[i : i + 5000] for i in range(0, len(SPEECH), 5000))
    parts = Motion.concatenate(list(drive(model, pieces, seed=3)))
    whole = drive_whole(model, SPEECH, seed=3)
    assert len(whole) == 75
    np.testing.assert_allclose(parts.landmarks, whole.landmarks, atol=1e-6)
    with pytest.raises(UserError, match="at least one sample"):
        drive_whole(model, SPEECH[:0])


def test_edits_apply_the_same_live_and_to_a_file(model) -> None:
    controls = Controls(mouth=1.3, smoothing_s=0.1)
    live = drive_whole(model, SPEECH, edits=[lambda: ControlEdit(model, controls)])
    edited = edit_motion(drive_whole(model, SPEECH), model, controls)
    np.testing.assert_allclose(live.landmarks, edited.landmarks, atol=1e-9)
    assert len(edit_motion(live[:0], model, controls)) == 0


def test_another_face_is_normalised_by_both_shapes(model) -> None:
    opening = np.clip(np.sin(np.arange(200) / 6.0), 0, 1)
    own = motion_of_openness(opening, seed=4)
    mean = np.eye(4)
    mean[:3, 3] = [0.2, 0.1, -1.1]
    turned = pose_vectors(own.head_pose, model.mean_pose)
    other = own.replace(
        landmarks=own.landmarks * 1.25 + [0.0, 0.01, 0.0],
        head_pose=pose_matrices(turned, mean),
        gaze=own.gaze + 0.2,
        brows=own.brows * 1.25,
    )
    same, brought = reenact(own, model), reenact(other, model)
    np.testing.assert_allclose(brought.landmarks, same.landmarks, atol=1e-6)
    np.testing.assert_allclose(brought.gaze, same.gaze, atol=1e-9)
    np.testing.assert_allclose(brought.head_pose, same.head_pose, atol=1e-6)
    assert np.corrcoef(mouth_aperture(brought.landmarks), opening)[0, 1] > 0.99
    np.testing.assert_allclose(brought.head_pose[:, :3, 3].mean(0), model.mean_pose[:3, 3], atol=0.01)
    with pytest.raises(UserError, match="a face in some frames"):
        reenact(own.replace(valid=np.zeros(200, bool)), model)
