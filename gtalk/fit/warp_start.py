"""A first guess of how the head bends with the face's code, from the tracked mesh."""

from __future__ import annotations

import numpy as np
import torch

from gtalk.avatar.head import WARP_UNIT
from gtalk.fit.model import FitContext
from gtalk.fit.occupancy import HeadVolume
from gtalk.shapes import Float

KERNEL_M = 0.012  # reach of a mesh point
STILL = 0.3  # weight of "does not move", against the mesh points' kernels
RIDGE = 1e-2


def mesh_warp(context: FitContext, volume: HeadVolume, cells: int, extra: int) -> Float[torch.Tensor, "K 3 G G G"]:
    """Displacements to start from: a point of the moving face is looked up where the mean face has it.

    The mesh points' motion is regressed on the code and spread with a Gaussian kernel. `extra` rows of
    zeros are added for codes other than the face's. Zeros only, when there is no dense tracking.
    """
    motion, basis = context.dataset.motion, context.basis
    warp = np.zeros((basis.size + extra, 3, cells, cells, cells), np.float32)
    dense = motion.channels.get("landmarks478")
    if dense is None:
        return torch.from_numpy(warp)
    codes = basis.encode(motion[context.indices])
    points = dense[context.indices].reshape(len(codes), -1).astype(np.float64)
    codes, mean = codes - codes.mean(0), points.mean(0)
    gram = codes.T @ codes + RIDGE * len(codes) * np.eye(basis.size)
    moved = np.linalg.solve(gram, codes.T @ (points - mean)).reshape(basis.size, -1, 3)
    axis = np.linspace(0.0, 1.0, cells)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    control = volume.origin_m + np.stack([x, y, z], -1).reshape(-1, 3) * volume.extent_m
    mesh = mean.reshape(-1, 3)
    squared = (control**2).sum(1)[:, None] + (mesh**2).sum(1) - 2.0 * control @ mesh.T
    kernel = np.exp(-squared / (2.0 * KERNEL_M**2))
    weights = kernel / (kernel.sum(1, keepdims=True) + STILL)
    at_control = np.einsum("cp,kpd->kdc", weights, moved) / (volume.extent_m * WARP_UNIT)
    warp[: basis.size] = -at_control.reshape(basis.size, 3, cells, cells, cells)
    return torch.from_numpy(warp)
