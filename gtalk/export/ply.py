"""Gaussian avatars as `.ply` files of the common 3DGS layout: at rest, at any frame, as a sequence.

World frame, metres: x right, y up, z towards the camera. The layout is that of Kerbl et al. 2023: position,
(zero) normal, colour as the constant spherical harmonic, opacity logit, log scales, quaternion wxyz.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from gtalk.avatar.gaussian import FrameParams, GaussianAvatar
from gtalk.errors import UserError
from gtalk.files import atomic_path
from gtalk.ops import splat
from gtalk.ops.reference.splat import place
from gtalk.progress import OnProgress, silent, track
from gtalk.shapes import Float
from gtalk.types import Motion

SH_CONSTANT = 0.28209479177387814  # of the constant spherical harmonic: 1 / (2 sqrt(pi))
PROPERTIES = [
    *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"),
    *("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
]


def write_ply(avatar: GaussianAvatar, path: Path, motion: Motion | None = None) -> None:
    """Write the Gaussians at rest (mean pose, mean face), or at the one frame of `motion`.

    Raises UserError when the motion has not exactly one frame.
    """
    if motion is not None and len(motion) != 1:
        raise UserError(
            "motion", expected="one frame", got=f"{len(motion)} frames", remedy="Pick one, or write a sequence."
        )
    with torch.no_grad():
        table = world_table(avatar, _at_rest(avatar) if motion is None else avatar.instants(motion)[0])
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(table)}"]
    header += [f"property float {name}" for name in PROPERTIES] + ["end_header\n"]
    with atomic_path(Path(path)) as temporary:
        temporary.write_bytes("\n".join(header).encode("ascii") + table.astype("<f4").tobytes())


def write_ply_sequence(avatar: GaussianAvatar, motion: Motion, folder: Path, on_progress: OnProgress = silent) -> None:
    """Write `000000.ply`, `000001.ply`, ... into `folder`, one per frame of `motion`."""
    for index in track(range(len(motion)), "ply", len(motion), on_progress):
        write_ply(avatar, Path(folder) / f"{index:06d}.ply", motion[index])


def world_table(avatar: GaussianAvatar, instant: FrameParams) -> Float[np.ndarray, "N 17"]:
    """Rows of PROPERTIES: the Gaussians of an instant with skinning applied, world frame."""
    gaussians = avatar.gaussians(instant).double().cpu()
    transforms = torch.from_numpy(np.stack([instant.T_camera_head, instant.T_camera_torso]))
    centres, covariances = place(gaussians, transforms)
    T_world_camera = np.linalg.inv(avatar.camera.T_camera_world)
    turn = T_world_camera[:3, :3]
    values, axes = np.linalg.eigh(turn @ covariances.numpy() @ turn.T)
    axes[np.linalg.det(axes) < 0, :, 0] *= -1.0
    rgb = gaussians[:, splat.COLOUR].numpy()
    columns = [
        centres.numpy() @ turn.T + T_world_camera[:3, 3],
        np.zeros((len(rgb), 3)),
        (rgb - 0.5) / SH_CONSTANT,
        gaussians[:, splat.OPACITY].numpy(),
        0.5 * np.log(np.maximum(values, 1e-14)),
        _quaternions(axes),
    ]
    return np.concatenate(columns, axis=1)


def _at_rest(avatar: GaussianAvatar) -> FrameParams:
    T = (avatar.camera.T_camera_world @ avatar.pose_code.T_world_mean)[:3]
    code = torch.zeros_like(avatar.tensors()["code_mean"])
    return FrameParams(code, T, T, (0.0, 0.0, 0.0))


def _quaternions(rotations: Float[np.ndarray, "N 3 3"]) -> Float[np.ndarray, "N 4"]:
    """Quaternions wxyz of rotation matrices: the largest of the four numbers is found first (Shepperd 1978)."""
    r = rotations
    trace = np.trace(r, axis1=1, axis2=2)
    squares = np.stack([trace, r[:, 0, 0], r[:, 1, 1], r[:, 2, 2]], 1)
    pairs = np.empty((len(r), 4, 4))
    diagonal = np.stack([1 + trace, *(1 + 2 * r[:, i, i] - trace for i in range(3))], 1)
    pairs[:, range(4), range(4)] = diagonal
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        pairs[:, 0, i + 1] = pairs[:, i + 1, 0] = r[:, k, j] - r[:, j, k]
        pairs[:, i + 1, j + 1] = pairs[:, j + 1, i + 1] = r[:, i, j] + r[:, j, i]
    best = pairs[np.arange(len(r)), squares.argmax(1)]
    return best / np.linalg.norm(best, axis=1, keepdims=True)
