"""Poses and expressions of all frames for a given model, frame by frame: batched Gauss-Newton.

The normal matrix of a frame is a sum over vertices of small products. With M = A' W A the 3x3
information of a vertex in head space, the block of the coefficients is `sum_i sum_ab M_ab B_a B_b'`:
one matrix product of all frames with a table of the basis's products. No Jacobian is ever stored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtalk.geometry.rotation import exp_so3, project
from gtalk.prepare.tracking.model import Model, States, deform
from gtalk.shapes import Bool, Float

CHUNK = 64  # frames worked on at once: what fits in the cache
_UPPER = np.triu_indices(3)


@dataclass(frozen=True)
class Observations:
    """Landmarks of T frames and how far each may be trusted."""

    points_px: Float[np.ndarray, "T P 2"]
    sigma_px: Float[np.ndarray, " P"]
    """Expected error of each vertex; infinite for vertices that say nothing."""
    valid: Bool[np.ndarray, " T"]

    def __getitem__(self, index: slice) -> Observations:
        return Observations(self.points_px[index], self.sigma_px, self.valid[index])


@dataclass(frozen=True)
class Normals:
    """Gauss-Newton systems of T frames, coefficients eliminated: pose @ step = right."""

    pose: Float[np.ndarray, "T 6 6"]
    right: Float[np.ndarray, "T 6"]
    back: Float[np.ndarray, "T K 6"]
    offset: Float[np.ndarray, "T K"]
    """Step of the coefficients = offset - back @ step of the pose."""


def robust_weights(residual_px: Float[np.ndarray, "T P 2"], sigma_px: Float[np.ndarray, " P"]) -> np.ndarray:
    """Geman-McClure weights [T,P], 1 for small residuals, relative to each vertex's own expected error."""
    square = (residual_px**2).sum(-1) / (2.0 * (3.0 * sigma_px) ** 2)
    return 1.0 / (1.0 + square) ** 2


def solve_states(
    model: Model, states: States, observations: Observations, iterations: int = 5, prior: float = 1.0
) -> tuple[States, Float[np.ndarray, "T 6 6"]]:
    """Gauss-Newton for every frame by itself.

    Args:
        model: the camera and the person.
        states: where to start.
        observations: of the same frames; those without a face keep their state.
        iterations: Gauss-Newton steps.
        prior: weight of "each coefficient is within its standard deviation", in landmarks.

    Returns:
        The states, and the information of each frame's landmarks about its pose (rotation vector in the
        camera frame, then translation) after the coefficients are marginalised.
    """
    model, observations = _of_use(model, observations)
    table = _basis_products(model)
    parts, information = [], []
    for start in range(0, len(states), CHUNK):
        piece = slice(start, start + CHUNK)
        state, normals = states[piece], None
        for _ in range(iterations):
            normals = frame_normals(model, state, observations[piece], prior, table)
            step = np.linalg.solve(normals.pose + 1e-6 * np.eye(6), normals.right[..., None])[..., 0]
            state = States(
                exp_so3(step[:, :3]) @ state.rotation,
                state.translation + step[:, 3:],
                state.coefficients + normals.offset - np.einsum("tkj,tj->tk", normals.back, step),
            )
            if np.abs(step).max(initial=0.0) < 1e-7:
                break
        parts.append(state)
        information.append(normals.pose if normals is not None else np.zeros((len(state), 6, 6)))
    names = ("rotation", "translation", "coefficients")
    joined = States(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
    return joined, np.concatenate(information)


def _basis_products(model: Model) -> np.ndarray:
    """[6P, K(K+1)/2] products of basis rows for the six distinct entries of a symmetric 3x3 matrix."""
    basis = np.moveaxis(model.basis, 0, -1).transpose(1, 0, 2).astype(np.float32)  # [3,P,K]
    rows, columns = np.triu_indices(model.size)
    first, second = basis[_UPPER[0]], basis[_UPPER[1]]
    twice = np.where(_UPPER[0] == _UPPER[1], 0.5, 1.0).astype(np.float32)[:, None, None]
    products = first[..., rows] * second[..., columns] + second[..., rows] * first[..., columns]
    return (products * twice).reshape(6 * basis.shape[1], len(rows))


def frame_normals(
    model: Model, states: States, observations: Observations, prior: float, table: np.ndarray | None = None
) -> Normals:
    """Normal equations of a chunk of frames."""
    normal, right = _joint_normals(model, states, observations, table)
    return _eliminate(normal, right, states.coefficients, prior)


def solve_coefficients(
    model: Model, states: States, observations: Observations, iterations: int = 3, prior: float = 1.0
) -> States:
    """Expressions of every frame for fixed poses."""
    model, observations = _of_use(model, observations)
    table, parts = _basis_products(model), []
    for start in range(0, len(states), CHUNK):
        piece = slice(start, start + CHUNK)
        state = states[piece]
        for _ in range(iterations if model.size else 0):
            residual, _, by_head = _linearise(model, state, observations[piece])
            normal, right = _coefficient_normals(model, residual, by_head, table)
            inner = normal + prior * np.eye(model.size)
            step = np.linalg.solve(inner, (right - prior * state.coefficients)[..., None])[..., 0]
            state = States(state.rotation, state.translation, state.coefficients + step)
        parts.append(state.coefficients)
    return States(states.rotation, states.translation, np.concatenate(parts))


def _of_use(model: Model, observations: Observations) -> tuple[Model, Observations]:
    """Both without the vertices that say nothing."""
    kept = np.flatnonzero(np.isfinite(observations.sigma_px))
    if len(kept) == len(observations.sigma_px):
        return model, observations
    few = Model(model.focal_px, model.centre_px, model.shape[kept], model.basis[:, kept])
    return few, Observations(observations.points_px[:, kept], observations.sigma_px[kept], observations.valid)


def _linearise(model: Model, states: States, observations: Observations) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(residuals [T,2,P], derivatives by the pose [T,2,6,P], by the head-space point [T,2,3,P]), weighted, float32."""
    turned = deform(model, states.coefficients) @ states.rotation.transpose(0, 2, 1)
    camera = turned + states.translation[:, None]
    residual = observations.points_px - project(camera, model.focal_px, model.centre_px)
    weights = robust_weights(residual, observations.sigma_px) / observations.sigma_px**2
    weights = np.where(observations.valid[:, None], weights, 0.0)
    root = np.sqrt(weights)
    residual = np.moveaxis(residual * root[..., None], -1, 1).astype(np.float32)
    return residual, *_jacobian_rows(turned, camera, states.rotation, root * model.focal_px)


def _coefficient_normals(
    model: Model, residual: np.ndarray, by_head: np.ndarray, table: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Matrix [T,K,K] and right side of the coefficients."""
    frames, size = len(residual), model.size
    pull = residual[:, 0, None] * by_head[:, 0] + residual[:, 1, None] * by_head[:, 1]
    inform = (by_head[:, :, _UPPER[0]] * by_head[:, :, _UPPER[1]]).sum(1)
    normal = np.empty((frames, size, size))
    rows, columns = np.triu_indices(size)
    normal[:, rows, columns] = normal[:, columns, rows] = inform.reshape(frames, -1) @ table
    return normal, pull.reshape(frames, -1) @ _flat_basis(model)


def _flat_basis(model: Model) -> np.ndarray:
    return np.moveaxis(model.basis, 0, -1).transpose(1, 0, 2).reshape(-1, model.size).astype(np.float32)


def _joint_normals(
    model: Model, states: States, observations: Observations, table: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Matrix [T,6+K,6+K] and right side of (pose, coefficients). Sums run in single precision, residuals in double."""
    residual, by_pose, by_head = _linearise(model, states, observations)
    frames, size = len(states), model.size
    normal = np.zeros((frames, 6 + size, 6 + size))
    right = np.zeros((frames, 6 + size))
    stacked = by_pose.transpose(0, 2, 1, 3).reshape(frames, 6, -1)
    normal[:, :6, :6] = stacked @ stacked.transpose(0, 2, 1)
    right[:, :6] = (stacked @ residual.reshape(frames, -1, 1))[..., 0]
    if size:
        across = by_pose[:, 0, :, None] * by_head[:, 0, None] + by_pose[:, 1, :, None] * by_head[:, 1, None]
        normal[:, :6, 6:] = (across.reshape(frames * 6, -1) @ _flat_basis(model)).reshape(frames, 6, size)
        normal[:, 6:, :6] = normal[:, :6, 6:].transpose(0, 2, 1)
        table = _basis_products(model) if table is None else table
        normal[:, 6:, 6:], right[:, 6:] = _coefficient_normals(model, residual, by_head, table)
    return normal, right


def _jacobian_rows(
    turned: np.ndarray, camera: np.ndarray, rotation: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of both pixel coordinates by the pose [T,2,6,P] and by the head-space point [T,2,3,P]."""
    x, y, z = np.moveaxis(turned, -1, 0)
    inverse = 1.0 / camera[..., 2]
    a, p, q = scale * inverse, camera[..., 0] * inverse, camera[..., 1] * inverse
    zero, one = np.zeros_like(a), np.ones_like(a)
    by_pose = np.stack([-p * y, z + p * x, -y, one, zero, -p, -z - q * y, q * x, x, zero, one, -q], axis=1) * a[:, None]
    by_pose = by_pose.astype(np.float32).reshape(len(a), 2, 6, -1)
    turn = rotation.astype(np.float32)[..., None]
    across, depth = by_pose[:, :, 3:5], by_pose[:, :, 5]
    by_head = np.stack(
        [across[:, row, row, None] * turn[:, row] + depth[:, row, None] * turn[:, 2] for row in (0, 1)], axis=1
    )
    return by_pose, by_head


def _eliminate(normal: np.ndarray, right: np.ndarray, coefficients: np.ndarray, prior: float) -> Normals:
    """Schur complement of the coefficients' block."""
    inner = normal[:, 6:, 6:] + prior * np.eye(coefficients.shape[1])
    right_inner = right[:, 6:] - prior * coefficients
    across = normal[:, :6, 6:].transpose(0, 2, 1)
    solved = np.linalg.solve(inner, np.concatenate([across, right_inner[..., None]], axis=-1))
    back, offset = solved[..., :6], solved[..., 6]
    pose = normal[:, :6, :6] - normal[:, :6, 6:] @ back
    return Normals(pose, right[:, :6] - np.einsum("tjk,tk->tj", normal[:, :6, 6:], offset), back, offset)
