"""A first guess of how the head bends with the face's code, from the tracked mesh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from gtalk.avatar.expressing.warp import control_points
from gtalk.avatar.head import WARP_UNIT
from gtalk.fit.protocol import FitContext
from gtalk.fit.radiance.occupancy import HeadVolume
from gtalk.shapes import Float

KERNEL_M = 0.012  # reach of a mesh point
STILL = 0.3  # weight of "does not move", against the mesh points' kernels
RIDGE = 1e-2


@dataclass(frozen=True)
class MeshMotion:
    """What the face's code does to the tracked mesh, head space, metres."""

    mean_m: Float[np.ndarray, "P 3"]
    moved_m: Float[np.ndarray, "K P 3"]
    """Displacement of each point for one unit of each component of the code."""


def mesh_motion(context: FitContext) -> MeshMotion | None:
    """The mesh points' motion, regressed on the code; None when there is no dense tracking."""
    motion, basis = context.dataset.motion, context.basis
    dense = motion.channels.get("landmarks478")
    if dense is None:
        return None
    codes = basis.encode(motion[context.indices])
    points = dense[context.indices].reshape(len(codes), -1).astype(np.float64)
    codes, mean = codes - codes.mean(0), points.mean(0)
    gram = codes.T @ codes + RIDGE * len(codes) * np.eye(basis.size)
    moved = np.linalg.solve(gram, codes.T @ (points - mean)).reshape(basis.size, -1, 3)
    return MeshMotion(mean.reshape(-1, 3), moved)


def mesh_warp(mesh: MeshMotion, volume: HeadVolume, cells: int) -> Float[torch.Tensor, "K 3 G G G"]:
    """Displacements to start from: a point of the moving face is looked up where the mean face has it.

    The mesh points' motion is spread with a Gaussian kernel.
    """
    control = volume.origin_m + control_points(cells) * volume.extent_m
    squared = (control**2).sum(1)[:, None] + (mesh.mean_m**2).sum(1) - 2.0 * control @ mesh.mean_m.T
    kernel = np.exp(-squared / (2.0 * KERNEL_M**2))
    weights = kernel / (kernel.sum(1, keepdims=True) + STILL)
    at_control = np.einsum("cp,kpd->kdc", weights, mesh.moved_m) / (volume.extent_m * WARP_UNIT)
    return torch.from_numpy(-at_control.reshape(-1, 3, cells, cells, cells).astype(np.float32))
