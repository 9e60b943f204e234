"""Gaussian avatars as `.ply` files of the common 3DGS layout: at rest, at any frame, as a sequence.

Metres, and by default the axes that viewers of such files expect: x right, y down, z away from the camera; with
`axes="gtalk"` those of gtalk's world: x right, y up, z towards the camera. The layout is that of Kerbl et al. 2023:
position, (zero) normal, colour as the constant spherical harmonic, opacity logit, log scales, quaternion wxyz.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from gtalk.avatar.gaussian import FrameParams, GaussianAvatar
from gtalk.errors import UserError
from gtalk.files import atomic_path
from gtalk.geometry.quaternion import quaternions_of
from gtalk.geometry.rotation import FLIP
from gtalk.ops import splat
from gtalk.ops.reference.splat import place
from gtalk.progress import OnProgress, silent, track
from gtalk.shapes import Float
from gtalk.types import Motion

Axes = Literal["viewers", "gtalk"]
SH_CONSTANT = 0.28209479177387814  # of the constant spherical harmonic: 1 / (2 sqrt(pi))
PROPERTIES = [
    *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"),
    *("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
]


def write_ply(avatar: GaussianAvatar, path: Path, motion: Motion | None = None, axes: Axes = "viewers") -> None:
    """Write the Gaussians at rest (mean pose, mean face), or at the one frame of `motion`. Raises as `still`."""
    table = still(avatar, motion, axes)
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(table)}"]
    header += [f"property float {name}" for name in PROPERTIES] + ["end_header\n"]
    with atomic_path(Path(path)) as temporary:
        temporary.write_bytes("\n".join(header).encode("ascii") + table.astype("<f4").tobytes())


def write_ply_sequence(
    avatar: GaussianAvatar, motion: Motion, folder: Path, on_progress: OnProgress = silent, axes: Axes = "viewers"
) -> None:
    """Write `000000.ply`, `000001.ply`, ... into `folder`, one per frame of `motion`."""
    for index in track(range(len(motion)), "ply", len(motion), on_progress):
        write_ply(avatar, Path(folder) / f"{index:06d}.ply", motion[index], axes)


def is_sequence(folder: Path) -> bool:
    """Whether a folder holds such a sequence and nothing else."""
    return all(re.fullmatch(r"\d{6,}\.ply", path.name) for path in folder.iterdir())


def still(avatar: GaussianAvatar, motion: Motion | None, axes: Axes) -> Float[np.ndarray, "N 17"]:
    """Rows of PROPERTIES at rest, or at the one frame of `motion`. Raises UserError when it has more, or none."""
    if motion is not None and len(motion) != 1:
        raise UserError(
            "motion", expected="one frame", got=f"{len(motion)} frames", remedy="Pick one, or write a sequence."
        )
    with torch.no_grad():
        return world_table(avatar, _at_rest(avatar) if motion is None else avatar.instants(motion)[0], axes)


def world_table(avatar: GaussianAvatar, instant: FrameParams, axes: Axes = "viewers") -> Float[np.ndarray, "N 17"]:
    """Rows of PROPERTIES: the Gaussians of an instant with skinning applied, in the world and along `axes`."""
    gaussians = avatar.gaussians(instant).double().cpu()
    transforms = torch.from_numpy(np.stack([instant.T_camera_head, instant.T_camera_torso]))
    centres, covariances = place(gaussians, transforms)
    T_world_camera = np.linalg.inv(avatar.camera.T_camera_world)
    shown = FLIP if axes == "viewers" else np.eye(3)
    turn = shown @ T_world_camera[:3, :3]
    values, own_axes = np.linalg.eigh(turn @ covariances.numpy() @ turn.T)
    own_axes[np.linalg.det(own_axes) < 0, :, 0] *= -1.0
    rgb = gaussians[:, splat.COLOUR].numpy()
    columns = [
        centres.numpy() @ turn.T + shown @ T_world_camera[:3, 3],
        np.zeros((len(rgb), 3)),
        (rgb - 0.5) / SH_CONSTANT,
        gaussians[:, splat.OPACITY].numpy(),
        0.5 * np.log(np.maximum(values, 1e-14)),
        quaternions_of(own_axes),
    ]
    return np.concatenate(columns, axis=1)


def _at_rest(avatar: GaussianAvatar) -> FrameParams:
    T = (avatar.camera.T_camera_world @ avatar.pose_code.T_world_mean)[:3]
    code = torch.zeros_like(avatar.tensors()["code_mean"])
    return FrameParams(code, T, T, (0.0, 0.0, 0.0))
