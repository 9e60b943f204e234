"""Images as bytes: the last step of every frame."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from gtalk.avatar.base import Avatar, DrawsBytes
from gtalk.compute.device import Delivery
from gtalk.shapes import Float, UInt8
from gtalk.types import Camera, Motion


def byte_images(
    avatar: Avatar,
    motion: Motion,
    camera: Camera | None,
    size: tuple[int, int] | None,
    background: UInt8[np.ndarray, "H W 3"] | str | None,
) -> Delivery:
    """What the avatar draws [B,H,W,3], and its coverage [B,H,W], on the way to the host; bytes where it makes them."""
    if isinstance(avatar, DrawsBytes):
        return Delivery(*avatar.render_bytes(motion, camera, size, background))
    output = avatar.render(motion, camera, size, background)
    return Delivery(levels(output.rgb), levels(output.alpha))


def to_uint8(values: Float[torch.Tensor, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """`levels` in host memory."""
    return levels(values).cpu().numpy()


def levels(values: Float[torch.Tensor, "*shape"]) -> UInt8[torch.Tensor, "*shape"]:
    """Values in [0, 1] to the nearest of 0..255; what lies outside is clamped, NaN and infinity become 0.

    In host memory OpenCV does it: one thread, 0.35 ms for 512x512x3. Torch's four passes take twice that
    on one thread, and with more of them they wait for each other whenever the machine is busy. On another
    device the conversion happens there, so that a quarter of the bytes cross the bus.
    """
    values = values.detach()
    if values.device.type != "cpu":
        scaled = torch.nan_to_num_(values * 255.0 + 0.5, nan=0.0, posinf=0.0, neginf=0.0)
        return scaled.clamp_(0.0, 255.0).to(torch.uint8)
    row = np.ascontiguousarray(values.float().numpy()).reshape(1, -1)
    if not row.size:
        return torch.zeros(values.shape, dtype=torch.uint8)
    _, positive = cv2.threshold(row, 0.0, 0.0, cv2.THRESH_TOZERO)  # the next step takes absolute values
    return torch.from_numpy(cv2.convertScaleAbs(positive, alpha=255.0).reshape(tuple(values.shape)))
