"""SO(3): the group's axioms, scipy's numbers, and what is nearest."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from gtalk.geometry.rotation import (
    align_similarity,
    axial,
    cross_matrix,
    exp_so3,
    log_so3,
    mean_rotation,
    nearest_rotation,
    project,
    projection_jacobian,
    slerp,
    symmetry_alignment,
    to_world,
)

VECTORS = st.tuples(*[st.floats(-1.7, 1.7)] * 3).map(np.array)  # below a half turn: 1.7 sqrt(3) < pi
TINY = st.tuples(*[st.floats(-1e-5, 1e-5)] * 3).map(np.array)


@given(VECTORS | TINY)
def test_exponentials_are_rotations_that_the_logarithm_and_scipy_know(vector: np.ndarray) -> None:
    R = exp_so3(vector)
    np.testing.assert_allclose(R, Rotation.from_rotvec(vector).as_matrix(), atol=1e-12)
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1.0)
    np.testing.assert_allclose(log_so3(R), vector, atol=1e-9)
    np.testing.assert_allclose(exp_so3(-vector), R.T, atol=1e-12)


@given(VECTORS, VECTORS, VECTORS)
def test_rotations_are_a_group(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    A, B, C = exp_so3(np.stack([a, b, c]))
    np.testing.assert_array_equal(exp_so3(np.zeros(3)), np.eye(3))
    np.testing.assert_allclose(nearest_rotation(A @ B), A @ B, atol=1e-12)  # closed
    np.testing.assert_allclose((A @ B) @ C, A @ (B @ C), atol=1e-12)
    np.testing.assert_allclose(exp_so3(2 * a), A @ A, atol=1e-12)  # one-parameter subgroups
    np.testing.assert_allclose(A @ exp_so3(b) @ A.T, exp_so3(A @ b), atol=1e-12)  # the adjoint is the rotation itself


@given(VECTORS, VECTORS)
def test_cross_matrix_and_axial_vector(a: np.ndarray, b: np.ndarray) -> None:
    np.testing.assert_allclose(cross_matrix(a) @ b, np.cross(a, b), atol=1e-12)
    np.testing.assert_allclose(axial(cross_matrix(a)), 2 * a)
    np.testing.assert_allclose(cross_matrix(axial(np.outer(a, b))), np.outer(a, b) - np.outer(b, a), atol=1e-12)


def test_slerp_equals_scipy_also_for_tiny_and_large_arcs() -> None:
    rng = np.random.default_rng(0)
    start = Rotation.random(40, random_state=1)
    arcs = rng.standard_normal((40, 3))
    arcs *= (np.geomspace(1e-9, 3.0, 40) / np.linalg.norm(arcs, axis=1))[:, None]
    end = Rotation.from_rotvec(arcs) * start
    share = rng.random(40)
    want = [
        Slerp([0, 1], Rotation.concatenate([a, b]))(s).as_matrix() for a, b, s in zip(start, end, share, strict=True)
    ]
    np.testing.assert_allclose(slerp(start.as_matrix(), end.as_matrix(), share), want, atol=1e-9)


@given(VECTORS, st.integers(0, 1000))
def test_the_nearest_rotation_is_nearer_than_its_neighbours(vector: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = exp_so3(vector) + 0.2 * rng.standard_normal((3, 3))
    near = nearest_rotation(matrix)
    np.testing.assert_allclose(near @ near.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(near) == pytest.approx(1.0)
    others = near @ exp_so3(0.1 * rng.standard_normal((20, 3)))
    assert np.linalg.norm(matrix - near) <= np.linalg.norm(matrix - others, axis=(1, 2)).min() + 1e-12


@given(VECTORS, st.floats(0.2, 3.0), st.integers(0, 1000))
def test_a_similarity_of_shapes_is_found_again(vector: np.ndarray, scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    source, shift, weights = rng.standard_normal((12, 3)), rng.standard_normal(3), rng.uniform(0.2, 1.0, 12)
    target = scale * source @ exp_so3(vector).T + shift
    found_scale, found_rotation, found_shift = align_similarity(source[None], target, weights)
    assert found_scale[0] == pytest.approx(scale)
    np.testing.assert_allclose(found_rotation[0], exp_so3(vector), atol=1e-9)
    np.testing.assert_allclose(found_shift[0], shift, atol=1e-9)


@given(VECTORS, st.integers(0, 1000))
def test_the_mean_turns_with_the_rotations_and_shrugs_off_an_outlier(vector: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    spread = exp_so3(0.05 * rng.standard_normal((21, 3)))
    spread[3] = exp_so3(np.array([0.0, 1.5, 0.0]))
    mean = mean_rotation(spread)
    assert np.linalg.norm(log_so3(mean)) < 0.1
    np.testing.assert_allclose(mean_rotation(exp_so3(vector) @ spread), exp_so3(vector) @ mean, atol=1e-6)


def test_projection_and_its_slopes() -> None:
    rng = np.random.default_rng(3)
    points = np.array([0.0, 0.0, 1.0]) + rng.uniform(-0.2, 0.2, (2, 5, 3))
    centre = np.array([40.0, 30.0])
    np.testing.assert_allclose(project(np.array([[0.1, -0.2, 0.5]]), 100.0, centre), [[60.0, -10.0]])
    step = 1e-6 * np.eye(3)[:, None, None]
    slopes = (project(points + step, 100.0, centre) - project(points - step, 100.0, centre)) / 2e-6
    np.testing.assert_allclose(projection_jacobian(points, 100.0), np.moveaxis(slopes, 0, -1), atol=1e-6)


def test_a_turned_symmetric_shape_is_turned_back() -> None:
    half = np.random.default_rng(4).uniform(0.1, 1.0, (6, 3))
    shape = np.concatenate([half, half * [-1, 1, 1]])
    mirror = np.concatenate([np.arange(6, 12), np.arange(6)])
    turned = shape @ exp_so3(np.array([0.0, 0.2, -0.1])).T
    straight = turned @ symmetry_alignment(turned, mirror).T
    np.testing.assert_allclose(straight[mirror] * [-1, 1, 1], straight, atol=1e-9)
    np.testing.assert_allclose(symmetry_alignment(shape, mirror), np.eye(3), atol=1e-9)


def test_poses_of_an_opencv_camera_in_the_world() -> None:
    rotation = exp_so3(np.array([[0.1, 0.2, 0.3], [0.0, 0.0, 0.0]]))
    T = to_world(rotation, np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 1.0]]))
    np.testing.assert_allclose(T[:, :3, 3], [[1.0, -2.0, -3.0], [0.0, 0.0, -1.0]])  # y up, the camera looks along -z
    np.testing.assert_allclose(T[1, :3, :3], np.diag([1.0, -1.0, -1.0]))
    np.testing.assert_allclose(T[0, :3, :3], np.diag([1.0, -1.0, -1.0]) @ rotation[0])
    np.testing.assert_array_equal(T[:, 3], [[0, 0, 0, 1]] * 2)
