"""What the avatars of both renderers have in common: parts, devices, views, backgrounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import torch

from gtalk.avatar.expressing.codes import Division
from gtalk.avatar.expressing.rig import MeshRig, no_rig
from gtalk.avatar.pose_code import PoseCode
from gtalk.basis import MotionBasis
from gtalk.errors import UserError
from gtalk.shapes import UInt8
from gtalk.types import Camera

Half = TypeVar("Half", bound="SharedHalf")
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


@dataclass(frozen=True)
class AvatarParts:
    """What the avatars of both renderers have beside their config and what their renderer learned."""

    basis: MotionBasis
    camera: Camera
    """The clip's, at the size of the fit."""
    fps: float
    plate: UInt8[np.ndarray, "H W 3"]
    """RGB, with the margin that the config says."""
    pose_code: PoseCode
    rig: MeshRig | None = None
    """The tracked mesh; expressions need it."""
    find_rig: Callable[[], MeshRig | None] = no_rig
    """Where to look for the rig when none is stored."""

    @staticmethod
    def split(
        tensors: Mapping[str, torch.Tensor],
        basis: MotionBasis,
        camera: Camera,
        fps: float,
        plate: UInt8[np.ndarray, "H W 3"],
        find_rig: Callable[[], MeshRig | None] = no_rig,
    ) -> tuple[dict[str, torch.Tensor], AvatarParts]:
        """(what the renderer learned, the parts) of everything in an avatar's file.

        Raises KeyError or ValueError when the pose code is missing or misshapen, or the rig is misshapen.
        """
        own, rig = MeshRig.split(tensors, basis.size)
        arrays = {n.removeprefix(_POSE): v.numpy() for n, v in own.items() if n.startswith(_POSE)}
        learned = {n: v for n, v in own.items() if not n.startswith(_POSE)}
        return learned, AvatarParts(basis, camera, fps, plate, PoseCode.from_arrays(arrays), rig, find_rig)

    def tensors(self) -> dict[str, torch.Tensor]:
        """For the avatar's file, by name: the pose code and the rig."""
        pose = {f"{_POSE}{n}": torch.from_numpy(v) for n, v in self.pose_code.to_arrays().items()}
        return {**pose, **(self.rig.tensors() if self.rig else {})}


class SharedHalf:
    """The half that both renderers' avatars have in common; see `gtalk.avatar.base.Avatar`."""

    def __init__(self, config: Any, parts: AvatarParts, learned: dict[str, torch.Tensor]) -> None:
        self.config, self.parts, self.learned = config, parts, learned
        self.basis, self.camera, self.fps = parts.basis, parts.camera, parts.fps
        self.plate, self.pose_code, self.rig = parts.plate, parts.pose_code, parts.rig

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything that the avatar's file holds, by name."""
        return {**self.learned, **self.parts.tensors()}

    @property
    def device(self) -> torch.device:
        """Where it draws."""
        return next(iter(self.learned.values())).device

    def to(self: Half, device: torch.device) -> Half:
        """A copy on another device; itself on the one where it is."""
        if device.type == self.device.type and device.index in (None, self.device.index):
            return self
        return type(self)(self.config, self.parts, {n: t.to(device) for n, t in self.learned.items()})

    @cached_property
    def division(self) -> Division:
        """How expressions are divided between codes and geometry. Raises UserError where no mesh is known."""
        return Division.of(self.parts.rig or self.parts.find_rig(), self.basis)
