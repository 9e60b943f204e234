import numpy as np
import pytest

from gtalk.basis import UPPER_GROUP, MotionBasis, mouth_aperture
from gtalk.geometry.pose import mean_pose, pose_vectors
from gtalk.motion.model.face import FaceMap
from tests.motion.talking import OPEN_M, motion_of_openness

OPENNESS = np.clip(np.sin(np.arange(800) / 7.0), 0, 1)
MOTION = motion_of_openness(OPENNESS)
BASIS = MotionBasis.fit(MOTION)
POSE = pose_vectors(MOTION.head_pose, mean_pose(MOTION.head_pose))
FACE = FaceMap.fit(MOTION, BASIS, OPENNESS < 0.01)


def test_lids_and_brows_are_rebuilt() -> None:
    got = FACE.upper_landmarks(MOTION.eyes, MOTION.brows)
    assert np.abs(got - MOTION.landmarks[:, UPPER_GROUP]).mean() < 0.0003
    shut = FACE.upper_landmarks(np.zeros((1, 2)), np.zeros((1, 2)))
    open_ = FACE.upper_landmarks(np.ones((1, 2)), np.zeros((1, 2)))
    upper_lid = [list(UPPER_GROUP).index(i) for i in (37, 38)]
    assert (open_ - shut)[0, upper_lid, 1].mean() == pytest.approx(0.006, rel=0.1)


def test_rest_is_closed_lips_even_without_silence() -> None:
    for silent in (OPENNESS < 0.01, np.zeros(800, bool)):
        rest = FaceMap.fit(MOTION, BASIS, silent).rest
        code = np.zeros((1, BASIS.size))
        code[:, BASIS.groups["mouth"]] = rest
        assert abs(mouth_aperture(BASIS.decode(code))[0]) < 0.05 * OPEN_M
