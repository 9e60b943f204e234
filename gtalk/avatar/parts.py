"""What the avatars of both renderers do alike: views, backgrounds, and the head pose's code among their tensors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from gtalk.avatar.pose_code import PoseCode
from gtalk.errors import UserError
from gtalk.shapes import UInt8
from gtalk.types import Camera

_POSE = "pose."  # how names of the pose code's arrays begin


def view(own: Camera, camera: Camera | None, size: tuple[int, int] | None) -> Camera:
    """The camera to draw for: the avatar's own by default, at `size` (width, height) where one is given."""
    camera = camera or own
    return camera if size is None else camera.resized(*size)


def require_size(background: UInt8[np.ndarray, "H W 3"], camera: Camera) -> None:
    """Raises UserError when a background is not of the output's size."""
    if background.shape != (camera.height, camera.width, 3):
        raise UserError(
            "background",
            expected=f"an image of {camera.width}x{camera.height}",
            got=f"{background.shape[1]}x{background.shape[0]}",
            remedy="Resize it to the output's size.",
        )


def with_pose(tensors: Mapping[str, torch.Tensor], pose_code: PoseCode) -> dict[str, torch.Tensor]:
    """Everything learned, by name: a renderer's own tensors and the pose code's."""
    return {**tensors, **{f"{_POSE}{n}": torch.from_numpy(v) for n, v in pose_code.to_arrays().items()}}


def split_pose(tensors: Mapping[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], PoseCode]:
    """Inverse of `with_pose`. Raises KeyError or ValueError when the pose code is missing or misshapen."""
    arrays = {n.removeprefix(_POSE): v.numpy() for n, v in tensors.items() if n.startswith(_POSE)}
    return {n: v for n, v in tensors.items() if not n.startswith(_POSE)}, PoseCode.from_arrays(arrays)
