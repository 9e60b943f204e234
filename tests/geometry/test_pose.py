import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gtalk.geometry.pose import mean_pose, pose_matrices, pose_vectors

ANGLE = st.floats(-1.2, 1.2)


@given(vector=st.tuples(ANGLE, ANGLE, ANGLE), shift=st.tuples(ANGLE, ANGLE, ANGLE))
def test_vectors_and_matrices_are_inverse(vector, shift) -> None:
    mean = pose_matrices(np.array([[0.3, -0.2, 0.1, 0.0, 0.1, -0.7]]), np.eye(4))[0]
    wanted = np.array([[*vector, *shift]])
    poses = pose_matrices(wanted, mean)
    np.testing.assert_allclose(poses[0, :3, :3] @ poses[0, :3, :3].T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(pose_vectors(poses, mean), wanted, atol=1e-7)


def test_mean_of_symmetric_turns_is_the_middle() -> None:
    vectors = np.array([[0.0, 0.4, 0.0, 0.1, 0, 0], [0.0, -0.4, 0.0, -0.1, 0, 0]])
    middle = pose_matrices(np.array([[0.1, 0.2, 0.3, 0.0, 0.0, 1.0]]), np.eye(4))[0]
    np.testing.assert_allclose(mean_pose(pose_matrices(vectors, middle)), middle, atol=1e-12)
