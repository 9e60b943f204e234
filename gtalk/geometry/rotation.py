"""Geometry of many frames at once: rotations, projection with its derivatives, alignment of shapes.

Inside the tracker points live in the OpenCV camera frame (x right, y down, z forward), so that
`q = R X + t` and `u = f q_xy / q_z + c`; `to_world` gives the poses of gtalk's world (types.py).
"""

from __future__ import annotations

import numpy as np

from gtalk.shapes import Float

FLIP = np.diag([1.0, -1.0, -1.0])
"""OpenCV camera axes <-> gtalk's world axes (its own inverse)."""


def exp_so3(omega: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3 3"]:
    """Rotation vectors to matrices (Rodrigues)."""
    theta2 = (omega**2).sum(-1)[..., None, None]
    theta = np.sqrt(theta2)
    small = theta2 < 1e-8
    safe = np.where(small, 1.0, theta)
    a = np.where(small, 1.0 - theta2 / 6.0, np.sin(safe) / safe)
    b = np.where(small, 0.5 - theta2 / 24.0, (1.0 - np.cos(safe)) / safe**2)
    skew = cross_matrix(omega)
    return np.eye(3) + a * skew + b * (skew @ skew)


def log_so3(rotation: Float[np.ndarray, "*batch 3 3"]) -> Float[np.ndarray, "*batch 3"]:
    """Rotation matrices to vectors, for angles below pi."""
    axis = axial(rotation)
    sine = np.sqrt((axis * axis).sum(-1)) / 2
    cosine = (rotation[..., 0, 0] + rotation[..., 1, 1] + rotation[..., 2, 2] - 1) / 2
    angle = np.arctan2(sine, cosine)
    factor = np.where(sine < 1e-6, 0.5, angle / np.maximum(2 * sine, 1e-12))
    return axis * factor[..., None]


def axial(matrix: Float[np.ndarray, "*batch 3 3"]) -> Float[np.ndarray, "*batch 3"]:
    """The vector v with [v]x = M - M^T."""
    return np.stack([matrix[..., i, j] - matrix[..., j, i] for i, j in ((2, 1), (0, 2), (1, 0))], axis=-1)


def slerp(
    start: Float[np.ndarray, "*batch 3 3"], end: Float[np.ndarray, "*batch 3 3"], share: Float[np.ndarray, "*batch"]
) -> Float[np.ndarray, "*batch 3 3"]:
    """Rotations on the shortest arc from `start` (share 0) to `end` (share 1); arcs below a half turn."""
    start = start.astype(np.float64)
    arc = log_so3(end.astype(np.float64) @ start.swapaxes(-1, -2))
    return exp_so3(share[..., None] * arc) @ start


def nearest_rotation(matrix: Float[np.ndarray, "*batch 3 3"]) -> Float[np.ndarray, "*batch 3 3"]:
    """The rotation R with the least |R - M|, and so the largest trace of R^T M (Kabsch 1976)."""
    u, _, vt = np.linalg.svd(matrix)
    u[..., 2] *= np.sign(np.linalg.det(u @ vt))[..., None]
    return u @ vt


def cross_matrix(vector: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3 3"]:
    """[v]x, so that [v]x w = v x w."""
    vector = np.asarray(vector)
    out = np.zeros((*vector.shape, 3), vector.dtype)
    for i, j, k in ((2, 1, 0), (0, 2, 1), (1, 0, 2)):
        out[..., i, j], out[..., j, i] = vector[..., k], -vector[..., k]
    return out


def project(
    points: Float[np.ndarray, "*batch P 3"], focal_px: float, centre_px: Float[np.ndarray, "2"]
) -> Float[np.ndarray, "*batch P 2"]:
    """Points of the camera frame to pixels."""
    return focal_px * points[..., :2] / points[..., 2:3] + centre_px


def projection_jacobian(points: Float[np.ndarray, "*batch P 3"], focal_px: float) -> Float[np.ndarray, "*batch P 2 3"]:
    """Derivative of `project` by the point."""
    inverse = focal_px / points[..., 2]
    jacobian = np.zeros((*points.shape[:-1], 2, 3))
    jacobian[..., 0, 0] = jacobian[..., 1, 1] = inverse
    jacobian[..., :, 2] = -points[..., :2] / points[..., 2:3] * inverse[..., None]
    return jacobian


def align_similarity(
    source: Float[np.ndarray, "T P 3"], target: Float[np.ndarray, "P 3"], weights: Float[np.ndarray, " P"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scale [T], rotation [T,3,3] and translation [T,3] with target ~ s R source + t (Umeyama 1991)."""
    weights = weights / weights.sum()
    mean_source = np.einsum("p,tpc->tc", weights, source)
    mean_target = weights @ target
    centred = source - mean_source[:, None]
    covariance = np.einsum("p,pc,tpd->tcd", weights, target - mean_target, centred)
    u, singular, vt = np.linalg.svd(covariance)
    sign = np.ones((len(source), 3))
    sign[:, 2] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * sign[:, None]) @ vt
    scale = (singular * sign).sum(-1) / np.einsum("p,tpc,tpc->t", weights, centred, centred)
    translation = mean_target - scale[:, None] * np.einsum("tcd,td->tc", rotation, mean_source)
    return scale, rotation, translation


def symmetry_alignment(shape: Float[np.ndarray, "P 3"], mirror: np.ndarray) -> Float[np.ndarray, "3 3"]:
    """Rotation that brings the symmetry plane of `shape` parallel to x = 0.

    The mirrored shape is the shape turned by some rotation; half of it back makes both coincide.
    """
    reflected = shape[mirror] * [-1.0, 1.0, 1.0]
    _, rotation, _ = align_similarity(reflected[None], shape, np.ones(len(shape)))
    return exp_so3(-0.5 * log_so3(rotation[0]))


def mean_rotation(rotations: Float[np.ndarray, "T 3 3"]) -> Float[np.ndarray, "3 3"]:
    """Robust average: the geodesic median by iteratively reweighted means."""
    mean = rotations[len(rotations) // 2]
    for _ in range(20):
        offsets = log_so3(mean.T @ rotations)
        weights = 1.0 / np.maximum(np.linalg.norm(offsets, axis=-1), 1e-3)
        mean = mean @ exp_so3((weights[:, None] * offsets).sum(0) / weights.sum())
    return mean


def to_world(rotation: Float[np.ndarray, "T 3 3"], translation: Float[np.ndarray, "T 3"]) -> Float[np.ndarray, "T 4 4"]:
    """T_world_head from poses in the OpenCV camera frame of the default camera."""
    T_world_head = np.zeros((len(rotation), 4, 4))
    T_world_head[:, :3, :3] = FLIP @ rotation
    T_world_head[:, :3, 3] = translation @ FLIP
    T_world_head[:, 3, 3] = 1.0
    return T_world_head
