import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gtalk.geometry.similarity import apply, compose, from_matrices, inverse, matrices, opencv_matrix

SIZE = (160, 120)
SIMILARITIES = st.tuples(*[st.floats(-0.3, 0.3)] * 4).map(np.array)


@given(SIMILARITIES)
def test_round_trip_and_definition(similarity: np.ndarray) -> None:
    matrix = matrices(similarity, SIZE)
    assert np.allclose(from_matrices(matrix, SIZE), similarity, atol=1e-9)
    centre, point = np.array([80.0, 60.0]), np.array([[13.0, 97.0]])
    dx, dy, theta, log_scale = similarity
    rotation = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
    expected = centre + np.exp(log_scale) * rotation @ (point[0] - centre) + np.array([dx, dy]) * 120
    assert np.allclose(apply(matrix, point)[0], expected)


@given(SIMILARITIES, SIMILARITIES)
def test_inverse_and_composition(a: np.ndarray, b: np.ndarray) -> None:
    first, then = matrices(a, SIZE), matrices(b, SIZE)
    points = np.random.default_rng(0).uniform(0, 100, (5, 2))
    assert np.allclose(apply(compose(first, then), points), apply(then, apply(first, points)))
    assert np.allclose(compose(first, inverse(first)), np.eye(2, 3), atol=1e-9)


def test_opencv_warps_by_the_same_map() -> None:
    image = np.zeros((120, 160), np.float32)
    image[40, 50] = 1.0
    image = cv2.GaussianBlur(image, (0, 0), 3)
    similarity = np.array([0.05, -0.1, 0.2, 0.1])
    warped = cv2.warpAffine(image, opencv_matrix(matrices(similarity, SIZE)), SIZE)
    y, x = np.mgrid[:120, :160] + 0.5
    seen = np.array([(warped * x).sum(), (warped * y).sum()]) / warped.sum()
    assert np.allclose(seen, apply(matrices(similarity, SIZE), np.array([[50.5, 40.5]]))[0], atol=0.05)
