"""Head poses as six numbers about a mean pose, and back."""

from __future__ import annotations

import numpy as np

from gtalk.shapes import Float


def mean_pose(poses: Float[np.ndarray, "T 4 4"]) -> Float[np.ndarray, "4 4"]:
    """Mean shift, and the rotation nearest to the mean matrix."""
    u, _, vt = np.linalg.svd(poses[:, :3, :3].mean(0))
    out = np.eye(4)
    out[:3, :3] = u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
    out[:3, 3] = poses[:, :3, 3].mean(0)
    return out


def pose_vectors(poses: Float[np.ndarray, "T 4 4"], mean: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "T 6"]:
    """Rotation vector of mean^-1 pose in radians (head frame), and shift from the mean in metres (world)."""
    relative = mean[:3, :3].T @ poses[:, :3, :3]
    cosine = np.clip((np.trace(relative, axis1=1, axis2=2) - 1.0) / 2.0, -1.0, 1.0)
    angle = np.arccos(cosine)
    skew = np.stack(
        [
            relative[:, 2, 1] - relative[:, 1, 2],
            relative[:, 0, 2] - relative[:, 2, 0],
            relative[:, 1, 0] - relative[:, 0, 1],
        ],
        axis=1,
    )
    factor = np.where(angle < 1e-6, 0.5, angle / np.maximum(2.0 * np.sin(angle), 1e-9))
    return np.concatenate([skew * factor[:, None], poses[:, :3, 3] - mean[:3, 3]], axis=1)


def pose_matrices(vectors: Float[np.ndarray, "T 6"], mean: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "T 4 4"]:
    """Inverse of `pose_vectors`."""
    out = np.tile(np.eye(4), (len(vectors), 1, 1))
    out[:, :3, :3] = mean[:3, :3] @ rotations(vectors[:, :3])
    out[:, :3, 3] = mean[:3, 3] + vectors[:, 3:]
    return out


def rotations(vectors: Float[np.ndarray, "T 3"]) -> Float[np.ndarray, "T 3 3"]:
    """Rodrigues' formula."""
    angle = np.linalg.norm(vectors, axis=1)[:, None, None]
    x, y, z = vectors.T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    small = angle < 1e-6
    safe = np.where(small, 1.0, angle)
    first = np.where(small, 1.0, np.sin(safe) / safe)
    second = np.where(small, 0.5, (1.0 - np.cos(safe)) / safe**2)
    return np.eye(3) + first * cross + second * (cross @ cross)
