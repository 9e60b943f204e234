"""What every avatar can do, whichever renderer draws it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from gtalk.basis import MotionBasis
from gtalk.files import sha256_of_json
from gtalk.shapes import UInt8
from gtalk.types import Camera, Motion, RenderOutput

PLATE = "plate"  # render over the avatar's own background


@dataclass(frozen=True)
class Consent:
    """Whose likeness an avatar is, and on what ground it was made. Travels with the avatar."""

    person: str
    statement: str
    watermark: bool = True
    """Whether pictures carry the invisible mark that says what they are. Only the person may choose to leave it out."""

    @staticmethod
    def of(facts: Mapping[str, Any]) -> Consent:
        """From what avatar.json says; what is missing is empty."""
        return Consent(facts.get("person", ""), facts.get("statement", ""), facts.get("watermark", True) is not False)

    @property
    def sha256(self) -> str:
        """Binds it to the weights, which carry it."""
        return sha256_of_json(asdict(self))


@runtime_checkable
class Sitter(Protocol):
    """What is known of whom a picture shows before it is drawn: an avatar, or several people in one picture."""

    kind: str
    basis: MotionBasis
    device: torch.device
    """Where it draws."""
    camera: Camera
    """The camera of the clip, at the size the avatar was fitted at."""
    fps: float


@runtime_checkable
class Avatar(Sitter, Protocol):
    """A head and torso that a Motion drives. Renders a batch of frames at once."""

    def render(
        self,
        motion: Motion,
        camera: Camera | None = None,
        size: tuple[int, int] | None = None,
        background: UInt8[np.ndarray, "H W 3"] | str | None = PLATE,
    ) -> RenderOutput:
        """Images of `motion`'s frames.

        Args:
            motion: B frames.
            camera: the view; the clip's own by default.
            size: (width, height) in pixels, of the camera's aspect ratio; the camera's by default.
            background: PLATE, an image of the output's size, or None for premultiplied colour on nothing.
        """
        ...

    def to(self, device: torch.device) -> Avatar:
        """The same avatar on another device."""
        ...

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything learned, by name: what the avatar's safetensors file holds."""
        ...


@runtime_checkable
class DrawsBytes(Protocol):
    """An avatar that can also make 8-bit images without a detour through floats."""

    def render_bytes(
        self,
        motion: Motion,
        camera: Camera | None = None,
        size: tuple[int, int] | None = None,
        background: UInt8[np.ndarray, "H W 3"] | str | None = PLATE,
    ) -> tuple[UInt8[torch.Tensor, "B H W 3"], UInt8[torch.Tensor, "B H W"]]:
        """Images and coverage, on the avatar's device. Arguments as of `Avatar.render`."""
        ...
