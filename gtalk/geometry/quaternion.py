"""Unit quaternions wxyz, as Gaussians store their rotations."""

from __future__ import annotations

import numpy as np
import torch

from gtalk.shapes import Float


def rotation_matrices(quaternions: Float[torch.Tensor, "N 4"]) -> Float[torch.Tensor, "N 3 3"]:
    """Rotations of quaternions of any length but zero. Differentiable."""
    w, x, y, z = (quaternions / torch.sqrt((quaternions**2).sum(-1, keepdim=True) + 1e-24)).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, -1).reshape(-1, 3, 3)


def quaternions_of(rotations: Float[np.ndarray, "N 3 3"]) -> Float[np.ndarray, "N 4"]:
    """Quaternions of rotation matrices."""
    from scipy.spatial.transform import Rotation

    return np.roll(Rotation.from_matrix(rotations).as_quat(), 1, axis=1)


def facing(normals: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 4"]:
    """Quaternions of the shortest turns of the z axis onto unit normals."""
    w = 1.0 + normals[:, 2]
    flipped = w < 1e-6
    quaternions = np.stack([w, -normals[:, 1], normals[:, 0], np.zeros(len(w))], 1)
    quaternions[flipped] = [0.0, 1.0, 0.0, 0.0]
    return quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)
