"""Pictures of floats to pictures of bytes: the last step of every frame."""

from __future__ import annotations

import numpy as np
import torch

from gtalk.shapes import Float, UInt8


def to_uint8(values: Float[torch.Tensor, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """Values in [0, 1] to the nearest of 0..255; what lies outside is clamped, NaN becomes 0.

    On a GPU the conversion happens there, so a quarter of the bytes cross the bus. The clamp comes
    last before the cast, because casting a float outside 0..255 to uint8 is undefined.
    """
    scaled = torch.mul(values.detach(), 255.0).add_(0.5)
    return torch.nan_to_num_(scaled, nan=0.0).clamp_(0.0, 255.0).to(torch.uint8).cpu().numpy()
