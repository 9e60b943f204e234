"""A small multi-layer perceptron, fused: hidden layers never leave the cache."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from gtalk.ops import checks, native
from gtalk.ops.reference import mlp as reference
from gtalk.shapes import Float

SLOPES = {"relu": 0.0, "leaky_relu": 0.01}


def mlp(
    x: Float[torch.Tensor, "N I"],
    weights: Sequence[Float[torch.Tensor, "_ _"]],
    biases: Sequence[Float[torch.Tensor, " _"]] | None = None,
    activation: str = "relu",
) -> Float[torch.Tensor, "N O"]:
    """Layer by layer, y = W_n f(... f(W_1 x + b_1) ...) + b_n, with f between layers and not after the last.

    Args:
        x: float32 or float64.
        weights: one [out, in] per layer, 1 to 4 of them, as torch.nn.Linear's; sizes up to 128.
        biases: one [out] per layer, or None. What is the same for all points (a frame's code) belongs
            into biases[0], where it costs nothing per point.
        activation: "relu" or "leaky_relu" (slope 0.01).

    Returns:
        [N, out of the last layer]. Gradients reach x, weights and biases.
    """
    weights, biases = list(weights), list(biases) if biases is not None else []
    check(x, weights, biases, activation)
    if not native.available(x):
        return reference.mlp(x, weights, biases, activation)
    return torch.ops.gtalk.mlp(x, weights, biases, SLOPES[activation])


def check(x: torch.Tensor, weights: list[torch.Tensor], biases: list[torch.Tensor], activation: str) -> None:
    """Raise ValueError where the arguments of `mlp` do not fit."""
    checks.require(activation in SLOPES, "activation", " or ".join(SLOPES), activation)
    checks.require(1 <= len(weights) <= 4, "weights", "1 to 4 layers", len(weights))
    checks.require(len(biases) in {0, len(weights)}, "biases", f"none or {len(weights)}", len(biases))
    checks.has_shape("x", x, None, None)
    checks.has_dtype("x", x, torch.float32, torch.float64)
    width = x.shape[1]
    for layer, weight in enumerate(weights):
        checks.has_shape(f"weights[{layer}]", weight, None, width)
        width = weight.shape[0]
        checks.require(0 < min(weight.shape) <= max(weight.shape) <= 128, f"weights[{layer}]",
                       "sizes 1 to 128", list(weight.shape))  # fmt: skip
        checks.has_dtype(f"weights[{layer}]", weight, x.dtype)
        if biases:
            checks.has_shape(f"biases[{layer}]", biases[layer], width)
            checks.has_dtype(f"biases[{layer}]", biases[layer], x.dtype)
    names = ["x", *(f"weights[{i}]" for i in range(len(weights))), *(f"biases[{i}]" for i in range(len(biases)))]
    checks.on_one_device(names, [x, *weights, *biases])


@native.fake("mlp")
def _fake(x: torch.Tensor, weights: list[torch.Tensor], biases: list[torch.Tensor], slope: float) -> torch.Tensor:
    return x.new_empty(x.shape[0], weights[-1].shape[0])


@native.fake("mlp_backward")
def _fake_backward(
    grad: torch.Tensor,
    x: torch.Tensor,
    weights: list[torch.Tensor],
    biases: list[torch.Tensor],
    slope: float,
    need_x: bool,
) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
    bias_sizes = [w.shape[0] if biases else 0 for w in weights]
    return (
        x.new_empty(x.shape[0] if need_x else 0, x.shape[1]),
        [w.new_empty(w.shape) for w in weights],
        [x.new_empty(size) for size in bias_sizes],
    )


def _setup(ctx, inputs: tuple, output: torch.Tensor) -> None:
    x, weights, biases, ctx.slope = inputs
    ctx.layers, ctx.need_x = len(weights), x.requires_grad
    ctx.save_for_backward(x, *weights, *biases)


def _backward(ctx, grad: torch.Tensor) -> tuple:
    x, *rest = ctx.saved_tensors
    weights, biases = rest[: ctx.layers], rest[ctx.layers :]
    grad_x, grad_weights, grad_biases = torch.ops.gtalk.mlp_backward(grad, x, weights, biases, ctx.slope, ctx.need_x)
    return grad_x if ctx.need_x else None, grad_weights, grad_biases[: len(biases)], None


native.autograd("mlp", _backward, _setup)
