"""One step of Adam in plain torch."""

from __future__ import annotations

import torch

from gtalk.shapes import Float


@torch.no_grad()
def adam_step_(
    param: Float[torch.Tensor, "*shape"],
    grad: Float[torch.Tensor, "*shape"],
    exp_avg: Float[torch.Tensor, "*shape"],
    exp_avg_sq: Float[torch.Tensor, "*shape"],
    step: int,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.99,
    eps: float = 1e-15,
    sparse: bool = False,
) -> None:
    """As `gtalk.ops.adam_step_`."""
    touched = grad != 0 if sparse else torch.ones_like(grad, dtype=torch.bool)
    mean = beta1 * exp_avg + (1.0 - beta1) * grad
    square = beta2 * exp_avg_sq + (1.0 - beta2) * grad * grad
    root = (square / (1.0 - beta2**step)).sqrt()
    stepped = param - lr / (1.0 - beta1**step) * mean / (root + eps)
    param.copy_(torch.where(touched, stepped, param))
    exp_avg.copy_(torch.where(touched, mean, exp_avg))
    exp_avg_sq.copy_(torch.where(touched, square, exp_avg_sq))
