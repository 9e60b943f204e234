import numpy as np
import pytest

from gtalk.avatar.expressing.surface import footpoints, vertex_gradients, vertex_normals
from gtalk.rig.shapes import neutral
from gtalk.topology import SKIN_TRIANGLES


def test_footpoints_are_the_nearest_of_many_samples() -> None:
    rng = np.random.default_rng(0)
    corners, points = rng.normal(size=(20, 3, 3)), rng.normal(size=(50, 3)) * 1.5
    feet = footpoints(points, corners)
    weights = rng.dirichlet([0.7, 0.7, 0.7], 4000)
    samples = np.einsum("sv,tvc->tsc", weights, corners).reshape(-1, 3)
    sampled = np.linalg.norm(points[:, None] - samples[None], axis=-1).min(1)
    assert (feet.distance_m <= sampled + 1e-9).all()
    assert (sampled - feet.distance_m).max() < 0.1
    found = np.einsum("nv,nvc->nc", feet.weights, corners[feet.triangle])
    np.testing.assert_allclose(np.linalg.norm(points - found, axis=1), feet.distance_m, atol=1e-9)
    np.testing.assert_allclose(feet.weights.sum(1), 1.0)


def test_no_points_have_no_footpoints() -> None:
    assert len(footpoints(np.zeros((0, 3)), np.eye(3)[None]).triangle) == 0


def test_the_gradient_of_a_turned_face_is_the_turn() -> None:
    mesh, angle = neutral(), 0.3
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    gradient = vertex_gradients(mesh, mesh @ turn.T, SKIN_TRIANGLES)
    used = np.unique(SKIN_TRIANGLES)
    np.testing.assert_allclose(gradient[used], np.broadcast_to(turn - np.eye(3), (len(used), 3, 3)), atol=1e-9)
    normals = vertex_normals(mesh, SKIN_TRIANGLES)
    np.testing.assert_allclose(vertex_normals(mesh @ turn.T, SKIN_TRIANGLES)[used], normals[used] @ turn.T, atol=1e-9)


def test_a_stretched_sheet_stretches_along_itself_only() -> None:
    x, y = np.meshgrid(np.arange(4.0), np.arange(4.0))
    sheet = np.stack([x.ravel(), y.ravel(), np.zeros(16)], 1)
    cells = np.array([[i, i + 1, i + 4] for i in range(11) if i % 4 < 3])
    gradient = vertex_gradients(sheet, sheet * [1.5, 1.0, 1.0], cells)[5]
    np.testing.assert_allclose(gradient, np.diag([0.5, 0.0, 0.0]), atol=1e-12)
    assert vertex_normals(sheet, cells)[5] == pytest.approx([0.0, 0.0, 1.0])
