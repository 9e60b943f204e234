"""Poses and coefficients of all frames for a given model: batched Gauss-Newton with smoothness in the cost.

Each frame gives a normal matrix over (rotation, translation, coefficients); the coefficients are
eliminated frame by frame (Schur complement), second differences of the pose couple the frames of a
segment, and one banded Cholesky solve yields the step of all poses at once. Linear in the number of frames.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solveh_banded

from gtalk.clip.track_geometry import cross_matrix, exp_so3, log_so3, project, projection_jacobian
from gtalk.clip.track_model import Model, States, deform
from gtalk.shapes import Bool, Float

CHUNK = 256  # frames whose Jacobians are in memory at once


@dataclass(frozen=True)
class Observations:
    """Landmarks of T frames and how far each may be trusted."""

    points_px: Float[np.ndarray, "T 478 2"]
    sigma_px: Float[np.ndarray, "478"]
    """Expected error of each vertex; infinite for vertices that say nothing."""
    valid: Bool[np.ndarray, " T"]
    borders: Sequence[int]
    """First frames of the segments; nothing is coupled across them."""


@dataclass(frozen=True)
class Priors:
    """Weights of what is known beyond the pixels, in units of one landmark's information."""

    smoothness: Float[np.ndarray, "6"]
    """Information about the second difference of (rotation, translation): 1 / (rad, metres)^2."""
    coefficients: float = 1.0
    """Information about each coefficient being 0, in its standard deviations."""


@dataclass(frozen=True)
class Normals:
    """Gauss-Newton systems of T frames with the coefficients eliminated."""

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
    model: Model, states: States, observations: Observations, priors: Priors, iterations: int = 5
) -> States:
    """Gauss-Newton over all frames. Frames without a face get their pose from smoothness alone."""
    for _ in range(iterations):
        normals = frame_normals(model, states, observations, priors)
        step = solve_smooth(normals, states, observations.borders, priors.smoothness)
        states = States(
            exp_so3(step[:, :3]) @ states.rotation,
            states.translation + step[:, 3:],
            states.coefficients + normals.offset - np.einsum("tkj,tj->tk", normals.back, step),
        )
        if np.abs(step).max(initial=0.0) < 1e-6:
            break
    return states


def frame_normals(model: Model, states: States, observations: Observations, priors: Priors) -> Normals:
    """Normal equations of every frame, in pieces of CHUNK frames."""
    parts = []
    for start in range(0, len(states), CHUNK):
        piece = slice(start, start + CHUNK)
        points, valid = observations.points_px[piece], observations.valid[piece]
        parts.append(_chunk_normals(model, states[piece], points, valid, observations.sigma_px, priors))
    return Normals(*(np.concatenate([getattr(part, name) for part in parts]) for name in Normals.__annotations__))


def _chunk_normals(
    model: Model, states: States, points_px: np.ndarray, valid: np.ndarray, sigma_px: np.ndarray, priors: Priors
) -> Normals:
    turned = deform(model, states.coefficients) @ states.rotation.transpose(0, 2, 1)
    camera = turned + states.translation[:, None]
    residual = points_px - project(camera, model.focal_px, model.centre_px)
    weights = robust_weights(residual, sigma_px) / sigma_px**2 * valid[:, None]
    root = np.sqrt(weights)[..., None]
    by_point = projection_jacobian(camera, model.focal_px) * root[..., None]
    by_head = by_point @ states.rotation[:, None]
    frames, count = points_px.shape[:2]
    jacobian = np.empty((frames, count, 2, 6 + model.size))
    jacobian[..., :3] = -by_point @ cross_matrix(turned)
    jacobian[..., 3:6] = by_point
    for axis in range(3):
        term = by_head[..., axis, None] * model.basis[:, :, axis].T[:, None, :]
        if axis:
            jacobian[..., 6:] += term
        else:
            jacobian[..., 6:] = term
    jacobian = jacobian.reshape(frames, 2 * count, -1)
    normal = jacobian.transpose(0, 2, 1) @ jacobian
    right = (jacobian.transpose(0, 2, 1) @ (residual * root).reshape(frames, -1, 1))[..., 0]
    return _eliminate(normal, right, states.coefficients, priors.coefficients)


def _eliminate(normal: np.ndarray, right: np.ndarray, coefficients: np.ndarray, prior: float) -> Normals:
    """Schur complement of the coefficients' block."""
    inner = normal[:, 6:, 6:] + prior * np.eye(coefficients.shape[1])
    right_inner = right[:, 6:] - prior * coefficients
    solved = np.linalg.solve(inner, np.concatenate([normal[:, 6:, :6], right_inner[..., None]], axis=-1))
    back, offset = solved[..., :6], solved[..., 6]
    pose = normal[:, :6, :6] - normal[:, :6, 6:] @ back
    return Normals(pose, right[:, :6] - np.einsum("tjk,tk->tj", normal[:, :6, 6:], offset), back, offset)


def solve_smooth(
    normals: Normals, states: States, borders: Sequence[int], smoothness: Float[np.ndarray, "6"]
) -> Float[np.ndarray, "T 6"]:
    """Pose steps that minimise data plus smoothness, segment by segment."""
    frames = len(states)
    edges = sorted({0, *(b for b in borders if 0 < b < frames), frames})
    steps = [
        _solve_segment(normals.pose[a:b], normals.right[a:b], states[a:b], smoothness)
        for a, b in itertools.pairwise(edges)
    ]
    return np.concatenate(steps) if steps else np.zeros((0, 6))


def _solve_segment(pose: np.ndarray, right: np.ndarray, states: States, smoothness: np.ndarray) -> np.ndarray:
    frames = len(pose)
    band = np.zeros((19, 6 * frames))  # lower form: band[i - j, j] = H[i, j]
    columns = np.arange(frames) * 6
    for j in range(6):
        for i in range(j, 6):
            band[i - j, columns + j] = pose[:, i, j]
    right = right.copy()
    if frames >= 3:
        weights = np.array([1.0, -2.0, 1.0])
        change = second_difference(states)
        for a in range(3):
            right[a : frames - 2 + a] -= weights[a] * smoothness * change
            for b in range(a + 1):
                for j in range(6):
                    band[6 * (a - b), columns[b : frames - 2 + b] + j] += weights[a] * weights[b] * smoothness[j]
    # A frame without data or neighbours keeps its pose.
    band[0] += 1e-9 * np.maximum(np.tile(smoothness, frames), 1.0)
    return solveh_banded(band, right.reshape(-1), lower=True).reshape(frames, 6)


def second_difference(states: States) -> Float[np.ndarray, "T2 6"]:
    """Change of the per-frame motion, in the camera frame: rotation vector and metres, [T-2,6]."""
    turn = log_so3(states.rotation[1:] @ states.rotation[:-1].transpose(0, 2, 1))
    move = np.diff(states.translation, axis=0)
    return np.concatenate([np.diff(turn, axis=0), np.diff(move, axis=0)], axis=1)
