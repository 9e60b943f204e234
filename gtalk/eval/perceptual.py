"""LPIPS (Zhang et al., CVPR 2018): a learnt distance of two pictures, with weights that the user brings.

Either a TorchScript file that takes two pictures [1,3,H,W] in [-1, 1] and returns one number, or the
tensors of the AlexNet variant of the authors' package as safetensors, under the names of its state
dict: `net.slice{1..5}.*`, `lin{0..4}.model.1.weight`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from gtalk.eval.weights import is_safetensors, open_script, open_tensors, unusable
from gtalk.shapes import Float, UInt8

_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # pictures in [-1, 1] to what AlexNet was trained on
_LEAST_SIDE = 63  # pixels that AlexNet's pooling needs
Distance = Callable[[UInt8[np.ndarray, "H W 3"], UInt8[np.ndarray, "H W 3"]], float]


@dataclass(frozen=True)
class _Layer:
    name: str
    stride: int
    padding: int
    pooled: bool
    """Whether the layer sees its input through 3x3 maximum pooling of stride 2."""


_ALEXNET = (
    _Layer("net.slice1.0", 4, 2, False),
    _Layer("net.slice2.3", 1, 2, True),
    _Layer("net.slice3.6", 1, 1, True),
    _Layer("net.slice4.8", 1, 1, False),
    _Layer("net.slice5.10", 1, 1, False),
)


def load_lpips(path: Path) -> Distance:
    """The distance that a file holds; 0 for equal pictures. Raises UserError when it holds none."""
    path = Path(path)
    if not is_safetensors(path):
        return _checked(_of_pictures(open_script(path, "LPIPS")), path)
    tensors = open_tensors(path, "LPIPS")
    needed = [f"{layer.name}.{part}" for layer in _ALEXNET for part in ("weight", "bias")]
    needed += [f"lin{i}.model.1.weight" for i in range(len(_ALEXNET))]
    if missing := [name for name in needed if name not in tensors]:
        raise unusable(path, "LPIPS", f"no tensor {missing[0]}")
    return _checked(_of_pictures(lambda a, b: alexnet_distance(tensors, a, b)), path)


def alexnet_distance(
    tensors: dict[str, torch.Tensor], a: Float[torch.Tensor, "B 3 H W"], b: Float[torch.Tensor, "B 3 H W"]
) -> Float[torch.Tensor, " B"]:
    """Sum over five layers of the weighted squared distance of unit-length features, mean over the picture."""
    shift, scale = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (_SHIFT, _SCALE))
    x, y = (a - shift) / scale, (b - shift) / scale
    total = torch.zeros(len(a))
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
    return features / (features.square().sum(1, keepdim=True).sqrt() + 1e-10)


def _of_pictures(network: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Distance:
    def distance(picture: np.ndarray, truth: np.ndarray) -> float:
        pair = [torch.from_numpy(p.astype(np.float32).transpose(2, 0, 1)[None] / 127.5 - 1) for p in (picture, truth)]
        with torch.inference_mode():
            return float(network(*pair).mean())

    return distance


def _checked(distance: Distance, path: Path) -> Distance:
    """One small picture goes through, so that a wrong file is found before minutes of rendering."""
    grey = np.full((_LEAST_SIDE + 1, _LEAST_SIDE + 1, 3), 128, np.uint8)
    try:
        distance(grey, grey)
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise unusable(path, "LPIPS", str(error).strip().splitlines()[-1]) from error
    return distance
