"""LPIPS (Zhang et al., CVPR 2018): a learnt, differentiable distance of images, with weights that the user brings.

The network is the AlexNet variant of the authors' package. Its file holds the tensors of that package's
state dict as safetensors: `net.slice{1..5}.*` and `lin{0..4}.model.1.weight`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional

from gtalk.reading.weights import open_tensors, unusable
from gtalk.shapes import Float

LEAST_SIDE = 63
"""Pixels along an image that AlexNet's pooling needs."""
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # images in [-1, 1] to what AlexNet was trained on


@dataclass(frozen=True)
class _Layer:
    name: str
    side: int
    """Of the kernel."""
    stride: int
    padding: int
    pooled: bool
    """Whether the layer sees its input through 3x3 maximum pooling of stride 2."""


_ALEXNET = (
    _Layer("net.slice1.0", 11, 4, 2, False),
    _Layer("net.slice2.3", 5, 1, 2, True),
    _Layer("net.slice3.6", 3, 1, 1, True),
    _Layer("net.slice4.8", 3, 1, 1, False),
    _Layer("net.slice5.10", 3, 1, 1, False),
)


def open_alexnet(path: Path) -> dict[str, torch.Tensor]:
    """The network's tensors, float32 and without gradients; layers may be narrower than the published ones.

    Raises UserError when the file is missing or damaged, or a tensor is absent, of a wrong shape or not finite.
    """
    tensors, depth, kept = open_tensors(path, "LPIPS"), 3, {}
    for i, layer in enumerate(_ALEXNET):
        weight, bias, linear = f"{layer.name}.weight", f"{layer.name}.bias", f"lin{i}.model.1.weight"
        if missing := [name for name in (weight, bias, linear) if name not in tensors]:
            raise unusable(path, "LPIPS", f"no tensor {missing[0]}")
        width = tensors[bias].numel()
        shapes = {weight: (width, depth, layer.side, layer.side), bias: (width,), linear: (1, width, 1, 1)}
        for name, shape in shapes.items():
            kept[name] = tensors[name]
            if kept[name].shape != shape or not width:
                raise unusable(path, "LPIPS", f"{name} of shape {list(kept[name].shape)} instead of {list(shape)}")
            if not bool(kept[name].isfinite().all()):
                raise unusable(path, "LPIPS", f"{name} with numbers that are not finite")
        depth = width
    return kept


def alexnet_distance(
    tensors: dict[str, torch.Tensor], a: Float[torch.Tensor, "B 3 H W"], b: Float[torch.Tensor, "B 3 H W"]
) -> Float[torch.Tensor, " B"]:
    """Sum over five layers of the weighted squared distance of unit-length features, mean over the image.

    Images lie in [-1, 1], `LEAST_SIDE` pixels or more a side, on the tensors' device. Differentiable in both.
    """
    shift, scale = (a.new_tensor(v).reshape(1, 3, 1, 1) for v in (_SHIFT, _SCALE))
    x, y = (a - shift) / scale, (b - shift) / scale
    total = a.new_zeros(len(a))
    for i, layer in enumerate(_ALEXNET):
        weight, bias = tensors[f"{layer.name}.weight"], tensors[f"{layer.name}.bias"]
        pair = []
        for value in (x, y):
            seen = functional.max_pool2d(value, 3, 2) if layer.pooled else value
            pair.append(functional.conv2d(seen, weight, bias, layer.stride, layer.padding).relu())
        x, y = pair
        gap = (_unit(x) - _unit(y)).square()
        total = total + functional.conv2d(gap, tensors[f"lin{i}.model.1.weight"]).mean((1, 2, 3))
    return total


def _unit(features: torch.Tensor) -> torch.Tensor:
    # The gradient of this norm is 0, not NaN, where features are so small that their squares vanish.
    return features / (torch.linalg.vector_norm(features, dim=1, keepdim=True) + 1e-10)
