"""The tiny-cuda-nn backend: with a stand-in that has the library's documented interface, and with the library itself
where it is installed.
"""

from __future__ import annotations

from types import ModuleType

import pytest
import torch

from gtalk.errors import UserError
from gtalk.ops import GridSpec, mlp
from gtalk.ops.adapters import tcnn
from tests.ops.tcnn_stand_in import Encoding, Network, stand_in

__all__ = ["stand_in"]  # the fixture

SPEC = tcnn.TcnnGridSpec(3, GridSpec.geometric(3, 4, 4, 30, 8).resolutions, 8)


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
        pytest.skip("needs a GPU")
    pytest.importorskip("tinycudann", reason="tiny-cuda-nn is not installed")
    rng = torch.Generator().manual_seed(0)
    x, w0, w1, b0, b1 = (
        (0.3 * torch.randn(s, generator=rng)).cuda() for s in ((999, 32), (32, 32), (16, 32), (32,), (16,))
    )
    torch.testing.assert_close(tcnn.mlp(x, [w0, w1], [b0, b1]), mlp(x, [w0, w1], [b0, b1]), atol=2e-2, rtol=2e-2)
    table = torch.full((SPEC.n_entries, 2), 0.5, device="cuda")
    encoded = tcnn.hash_encode(torch.rand(100, 3, device="cuda"), table, SPEC)
    torch.testing.assert_close(encoded, torch.full_like(encoded, 0.5), atol=1e-3, rtol=1e-3)
