"""The tiny-cuda-nn backend: with a stand-in that has the library's documented interface, and with the library itself
where it is installed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import ClassVar

import pytest
import torch

from gtalk.errors import UserError
from gtalk.ops import GridSpec, mlp, tcnn

SPEC = tcnn.TcnnGridSpec(3, GridSpec.geometric(3, 4, 4, 30, 8).resolutions, 8)


class _Module(torch.nn.Module):
    def __init__(self, count: int) -> None:
        super().__init__()
        self.params = torch.nn.Parameter(torch.zeros(count))


class Encoding(_Module):
    """Every output is the mean of its level's entries, times the point's x."""

    made: ClassVar[list[dict]] = []

    def __init__(self, n_input_dims: int, encoding_config: dict) -> None:
        self.made.append({"inputs": n_input_dims, **encoding_config})
        base, growth, entries = encoding_config["base_resolution"], encoding_config["per_level_scale"], []
        for level in range(encoding_config["n_levels"]):
            side = int(-(-(base * growth**level - 1.0) // 1)) + 1
            entries.append(min(-(-(side**n_input_dims) // 8) * 8, 1 << encoding_config["log2_hashmap_size"]))
        super().__init__(sum(entries) * encoding_config["n_features_per_level"])
        self.entries, self.features = entries, encoding_config["n_features_per_level"]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        table = self.params.half().reshape(-1, self.features).split(self.entries)
        return (x[:, :1].half() * torch.cat([level.mean(0) for level in table])).half()


class Network(_Module):
    """A fully fused network without biases, sizes rounded up to 16, in half precision."""

    made: ClassVar[list[dict]] = []

    def __init__(self, n_input_dims: int, n_output_dims: int, network_config: dict) -> None:
        self.made.append({"inputs": n_input_dims, "outputs": n_output_dims, **network_config})
        self.width, self.outputs = network_config["n_neurons"], n_output_dims
        self.inputs, self.rows = -(-n_input_dims // 16) * 16, -(-n_output_dims // 16) * 16
        super().__init__(self.width * (self.inputs + self.rows))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, last = self.params.half().split([self.width * self.inputs, self.width * self.rows])
        x = torch.nn.functional.pad(x.half(), (0, self.inputs - x.shape[1]), value=1.0)  # as the library pads
        hidden = (x.float() @ first.reshape(self.width, -1).T.float()).relu()
        return (hidden @ last.reshape(self.rows, -1).T.float())[:, : self.outputs].half()


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    library = ModuleType("tinycudann")
    library.Encoding, library.Network = Encoding, Network  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tinycudann", library)
    monkeypatch.setattr(tcnn, "require", lambda device: library)
    tcnn._encoding.cache_clear()
    tcnn._network.cache_clear()
    yield library
    tcnn._encoding.cache_clear()
    tcnn._network.cache_clear()


def test_the_grid_is_asked_for_by_its_documented_options_and_made_once(stand_in: ModuleType) -> None:
    Encoding.made.clear()
    table = torch.randn(SPEC.n_entries, 2, requires_grad=True)
    points = torch.rand(7, 3, requires_grad=True)
    out = tcnn.hash_encode(points, table, SPEC)
    tcnn.hash_encode(points, table, SPEC)
    assert Encoding.made == [
        {"inputs": 3, "otype": "HashGrid", "n_levels": 4, "n_features_per_level": 2, "log2_hashmap_size": 8,
         "base_resolution": 4, "per_level_scale": pytest.approx((30 / 4) ** (1 / 3))}
    ]  # fmt: skip
    assert out.shape == (7, 8) and out.dtype == torch.float32
    out.sum().backward()
    assert table.grad is not None and table.grad.dtype == torch.float32 and bool((table.grad != 0).any())
    assert points.grad is not None and points.grad.shape == (7, 3)


def test_levels_are_rounded_up_and_cut_as_the_library_does() -> None:
    assert SPEC.sizes == (64, 256, 256, 256) and SPEC.offsets == (0, 64, 320, 576, 832)  # 4^3, then 2^8


def test_the_network_is_ours_with_biases_and_gradients(stand_in: ModuleType) -> None:
    Network.made.clear()
    rng = torch.Generator().manual_seed(0)
    shapes = ((20, 30), (32, 30), (16 - 3, 32), (32,), (13,))
    x, w0, w1, b0, b1 = (0.3 * torch.randn(shape, generator=rng) for shape in shapes)
    results = []
    for function in (tcnn.mlp, mlp):
        leaves = [t.clone().requires_grad_() for t in (x, w0, w1, b0, b1)]
        out = function(leaves[0], leaves[1:3], leaves[3:])
        results.append((out, torch.autograd.grad(out.square().sum(), leaves)))
    assert Network.made == [
        {"inputs": 31, "outputs": 13, "otype": "FullyFusedMLP", "activation": "ReLU", "output_activation": "None",
         "n_neurons": 32, "n_hidden_layers": 1}
    ]  # fmt: skip
    (out, gradients), (expected, wanted) = results
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, expected, atol=5e-3, rtol=5e-3)
    for ours, true in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(ours, true, atol=5e-2, rtol=2e-2)


def test_what_it_cannot_do_is_told(stand_in: ModuleType) -> None:
    with pytest.raises(ValueError, match="a width of"):
        tcnn.mlp(torch.zeros(2, 3), [torch.zeros(24, 3), torch.zeros(1, 24)], [torch.zeros(24), torch.zeros(1)])
    with pytest.raises(ValueError, match="two layers"):
        tcnn.mlp(torch.zeros(2, 3), [torch.zeros(16, 3)], [torch.zeros(16)])
    other = tcnn.TcnnGridSpec(3, (4, 8), 4)
    with pytest.raises(ValueError, match=r"shape \[832, 2\]"):
        tcnn.hash_encode(torch.zeros(2, 3), torch.zeros(other.n_entries, 2), SPEC)


def test_without_the_library_or_a_gpu_the_user_is_told() -> None:
    with pytest.raises(UserError, match=r"CUDA device.*got device cpu.*avatar\.head\.backend"):
        tcnn.require(torch.device("cpu"))


@pytest.mark.cuda
def test_the_library_itself_agrees_with_our_network() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    pytest.importorskip("tinycudann", reason="tiny-cuda-nn is not installed")
    rng = torch.Generator().manual_seed(0)
    x, w0, w1, b0, b1 = (
        (0.3 * torch.randn(s, generator=rng)).cuda() for s in ((999, 32), (32, 32), (16, 32), (32,), (16,))
    )
    torch.testing.assert_close(tcnn.mlp(x, [w0, w1], [b0, b1]), mlp(x, [w0, w1], [b0, b1]), atol=2e-2, rtol=2e-2)
    table = torch.full((SPEC.n_entries, 2), 0.5, device="cuda")
    encoded = tcnn.hash_encode(torch.rand(100, 3, device="cuda"), table, SPEC)
    torch.testing.assert_close(encoded, torch.full_like(encoded, 0.5), atol=1e-3, rtol=1e-3)
