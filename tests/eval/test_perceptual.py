"""LPIPS from files: a narrow network with known weights against the formula written out."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from gtalk.errors import UserError
from gtalk.eval.perceptual import load_lpips
from tests.support.lpips_stand_in import KERNELS, NAMES, WIDTHS, narrow_weights


def images() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (80, 96, 3), np.uint8), rng.integers(0, 255, (80, 96, 3), np.uint8)


def literal_distance(tensors: dict[str, torch.Tensor], a: np.ndarray, b: np.ndarray) -> float:
    """The paper's formula on features of torch modules, in float64."""
    layers, depth = [], 3
    for i, (width, kernel) in enumerate(zip(WIDTHS, KERNELS, strict=True)):
        stride, padding = (4, 2) if i == 0 else (1, kernel // 2)
        conv = torch.nn.Conv2d(depth, width, kernel, stride, padding)
        conv.load_state_dict({p: tensors[f"net.{NAMES[i]}.{p}"] for p in ("weight", "bias")})
        layers.append(torch.nn.Sequential(*([torch.nn.MaxPool2d(3, 2)] if i in (1, 2) else []), conv, torch.nn.ReLU()))
        depth = width
    mean, deviation = np.array([-0.030, -0.088, -0.188]), np.array([0.458, 0.448, 0.450])
    x, y = (torch.from_numpy(((p / 127.5 - 1 - mean) / deviation).transpose(2, 0, 1)[None]) for p in (a, b))
    total = 0.0
    with torch.no_grad():
        for i, layer in enumerate(layers):
            x, y = layer.double()(x), layer(y)
            u, v = (f / torch.linalg.norm(f, dim=1, keepdim=True).clamp_min(1e-12) for f in (x, y))
            total += float(((u - v).square() * tensors[f"lin{i}.model.1.weight"].double()).sum(1).mean())
    return total


def test_safetensors_of_the_published_layout_give_the_formula(tmp_path):
    tensors = narrow_weights()
    save_file(tensors, tmp_path / "lpips.safetensors")
    distance = load_lpips(tmp_path / "lpips.safetensors")
    a, b = images()
    assert distance(a, b) == pytest.approx(literal_distance(tensors, a, b), rel=1e-3)
    assert distance(a, a) == 0.0


def test_files_without_the_network_are_refused_by_name(tmp_path):
    (tmp_path / "bad.pt").write_bytes(b"nonsense")
    (tmp_path / "bad.safetensors").write_bytes(b"nonsense")
    tensors = narrow_weights()
    del tensors["lin3.model.1.weight"]
    save_file(tensors, tmp_path / "part.safetensors")
    tensors = narrow_weights() | {"net.slice3.6.weight": torch.zeros(6, 9, 3, 3)}
    save_file(tensors, tmp_path / "shape.safetensors")
    for name in ("bad.pt", "bad.safetensors", "shape.safetensors", "absent.safetensors", "absent.pt"):
        with pytest.raises(UserError, match="LPIPS weights"):
            load_lpips(tmp_path / name)
    with pytest.raises(UserError, match=r"lin3\.model"):
        load_lpips(tmp_path / "part.safetensors")
