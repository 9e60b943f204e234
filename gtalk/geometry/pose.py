"""Head poses as six numbers about a mean pose, and back."""

from __future__ import annotations

import numpy as np

from gtalk.geometry.rotation import exp_so3, log_so3, nearest_rotation
from gtalk.shapes import Float


def mean_pose(poses: Float[np.ndarray, "T 4 4"]) -> Float[np.ndarray, "4 4"]:
    """Mean translation, and the rotation nearest to the mean matrix."""
    out = np.eye(4)
    out[:3, :3] = nearest_rotation(poses[:, :3, :3].mean(0))
    out[:3, 3] = poses[:, :3, 3].mean(0)
    return out


def pose_vectors(poses: Float[np.ndarray, "T 4 4"], mean: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "T 6"]:
    """Rotation vector of mean^-1 pose in radians (head frame), and shift from the mean in metres (world)."""
    relative = mean[:3, :3].T @ poses[:, :3, :3]
    return np.concatenate([log_so3(relative), poses[:, :3, 3] - mean[:3, 3]], axis=1)


def pose_matrices(vectors: Float[np.ndarray, "T 6"], mean: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "T 4 4"]:
    """Inverse of `pose_vectors`."""
    out = np.tile(np.eye(4), (len(vectors), 1, 1))
    out[:, :3, :3] = mean[:3, :3] @ exp_so3(vectors[:, :3])
    out[:, :3, 3] = mean[:3, 3] + vectors[:, 3:]
    return out
