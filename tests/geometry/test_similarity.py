import cv2
import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from gtalk.geometry.similarity import (
    apply,
    compose,
    crop_matrix,
    from_matrices,
    inverse,
    matrices,
    opencv_matrix,
    undo_similarity,
)

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


@given(SIMILARITIES, SIMILARITIES, SIMILARITIES)
def test_similarities_are_a_group(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    A, B, C = (matrices(s, SIZE) for s in (a, b, c))
    assert np.allclose(matrices(np.zeros(4), SIZE), np.eye(2, 3))
    assert np.allclose(compose(A, np.eye(2, 3)), A) and np.allclose(compose(np.eye(2, 3), A), A)
    assert np.allclose(compose(compose(A, B), C), compose(A, compose(B, C)))
    assert np.allclose(compose(inverse(A), A), np.eye(2, 3), atol=1e-9)
    product = compose(A, B)  # closed: what is composed is a similarity
    assert np.allclose(matrices(from_matrices(product, SIZE), SIZE), product)


@given(SIMILARITIES)
def test_the_torch_twin_undoes_the_similarity(similarity: np.ndarray) -> None:
    width, height = SIZE
    rest = np.random.default_rng(0).uniform(0, 120, (20, 2))
    moved = torch.from_numpy(apply(matrices(similarity, SIZE), rest) / height)
    back = undo_similarity(moved, torch.from_numpy(similarity), (0.5 * width / height, 0.5))
    assert np.allclose(back * height, rest, atol=1e-9)


def test_gradients_of_the_torch_twin() -> None:
    points = torch.rand(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    similarity = torch.tensor([0.1, -0.2, 0.3, 0.2], dtype=torch.float64)
    inputs = points.requires_grad_(), similarity.requires_grad_()
    assert torch.autograd.gradcheck(lambda p, s: undo_similarity(p, s, (0.6, 0.5)), inputs)


def test_a_crop_begins_at_its_corner() -> None:
    matrix = crop_matrix(np.array([12.0, 30.0]), 2.0)
    assert np.allclose(apply(matrix, np.array([[12.0, 30.0], [13.0, 31.5]])), [[0.0, 0.0], [2.0, 3.0]])
