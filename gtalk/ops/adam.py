"""Adam, fused and in place."""

from __future__ import annotations

import torch

from gtalk.ops import checks, native
from gtalk.ops.reference import adam as reference
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
    """One step of Adam (Kingma & Ba 2015) on `param`, with bias correction for the `step`-th step (from 1).

    With `sparse`, numbers whose gradient is exactly 0 are left alone, moments included: what no sample
    touched does not drift, and costs no memory traffic. All tensors float32 and contiguous, of one shape.
    """
    check(param, grad, exp_avg, exp_avg_sq, step)
    if not native.available(param):
        reference.adam_step_(param, grad, exp_avg, exp_avg_sq, step, lr, beta1, beta2, eps, sparse)
        return
    torch.ops.gtalk.adam_step_(param, grad, exp_avg, exp_avg_sq, step, lr, beta1, beta2, eps, sparse)


def check(param: torch.Tensor, grad: torch.Tensor, exp_avg: torch.Tensor, exp_avg_sq: torch.Tensor, step: int) -> None:
    """Raise ValueError where the arguments of `adam_step_` do not fit."""
    names, tensors = ["param", "grad", "exp_avg", "exp_avg_sq"], [param, grad, exp_avg, exp_avg_sq]
    for name, tensor in zip(names, tensors, strict=True):
        checks.has_shape(name, tensor, *param.shape)
        checks.has_dtype(name, tensor, torch.float32)
        checks.require(tensor.is_contiguous(), name, "a contiguous tensor", f"strides {tensor.stride()}")
    checks.require(step >= 1, "step", "a number from 1", step)
    checks.on_one_device(names, tensors)


@native.fake("adam_step_")
def _fake(
    param: torch.Tensor,
    grad: torch.Tensor,
    exp_avg: torch.Tensor,
    exp_avg_sq: torch.Tensor,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    sparse: bool,
) -> None:
    return None
