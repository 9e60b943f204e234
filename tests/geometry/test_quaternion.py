import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from gtalk.geometry.quaternion import facing, quaternions_of, rotation_matrices
from gtalk.geometry.rotation import exp_so3

VECTORS = st.tuples(*[st.floats(-1.8, 1.8)] * 3).map(np.array)
LENGTHS = st.floats(0.1, 10.0)


def product(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Hamilton's."""
    scalar, vector = p[0] * q[0] - p[1:] @ q[1:], p[0] * q[1:] + q[0] * p[1:] + np.cross(p[1:], q[1:])
    return np.array([scalar, *vector])


@given(VECTORS, VECTORS, LENGTHS)
def test_products_of_quaternions_are_products_of_rotations(a: np.ndarray, b: np.ndarray, length: float) -> None:
    turns = exp_so3(np.stack([a, b]))
    p, q = quaternions_of(turns)
    of = torch.from_numpy(np.stack([length * p, product(p, q)]))
    np.testing.assert_allclose(rotation_matrices(of), [turns[0], turns[0] @ turns[1]], atol=1e-9)


def test_gradients_of_matrices_by_quaternions() -> None:
    quaternions = torch.randn(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.autograd.gradcheck(rotation_matrices, (quaternions.requires_grad_(),))


def test_facing_turns_z_onto_the_normal() -> None:
    normals = np.random.default_rng(0).normal(size=(20, 3))
    normals[0], normals[1] = [0, 0, 1], [0, 0, -1]
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    turned = rotation_matrices(torch.from_numpy(facing(normals)))[:, :, 2]
    np.testing.assert_allclose(turned, normals, atol=1e-9)
