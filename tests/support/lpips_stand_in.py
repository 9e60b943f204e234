"""LPIPS of the published layout, narrow and with random weights: its distances mean nothing, its arithmetic does."""

from __future__ import annotations

import torch

WIDTHS = (4, 5, 6, 5, 4)
KERNELS = (11, 5, 3, 3, 3)
NAMES = ("slice1.0", "slice2.3", "slice3.6", "slice4.8", "slice5.10")


def narrow_weights(seed: int = 0) -> dict[str, torch.Tensor]:
    """The state dict."""
    generator = torch.Generator().manual_seed(seed)
    tensors, depth = {}, 3
    for i, (name, width, kernel) in enumerate(zip(NAMES, WIDTHS, KERNELS, strict=True)):
        tensors[f"net.{name}.weight"] = torch.randn(width, depth, kernel, kernel, generator=generator) * 0.2
        tensors[f"net.{name}.bias"] = torch.randn(width, generator=generator) * 0.1
        tensors[f"lin{i}.model.1.weight"] = torch.rand(1, width, 1, 1, generator=generator)
        depth = width
    return tensors
