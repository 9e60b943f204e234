"""A small multi-layer perceptron in plain differentiable torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from gtalk.shapes import Float


def mlp(
    x: Float[torch.Tensor, "N I"],
    weights: Sequence[Float[torch.Tensor, "_ _"]],
    biases: Sequence[Float[torch.Tensor, " _"]] | None = None,
    activation: str = "relu",
) -> Float[torch.Tensor, "N O"]:
    """As `gtalk.ops.mlp`."""
    for layer, weight in enumerate(weights):
        x = torch.nn.functional.linear(x, weight, biases[layer] if biases else None)
        if layer + 1 < len(weights):
            x = torch.relu(x) if activation == "relu" else torch.nn.functional.leaky_relu(x, 0.01)
    return x
