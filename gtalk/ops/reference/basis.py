"""Linear bases of tables in plain torch."""

from __future__ import annotations

import torch

from gtalk.ops.reference.adam import adam_step_
from gtalk.shapes import Float


def blend_basis(
    tables: Float[torch.Tensor, "K1 ..."],
    coefs: Float[torch.Tensor, " K"],
    rest: Float[torch.Tensor, "*more"] | None = None,
) -> Float[torch.Tensor, "*blended"]:
    """As `gtalk.ops.blend_basis`."""
    blended = tables[0] + (coefs @ tables[1:].flatten(1)).reshape(tables.shape[1:])
    return blended if rest is None else torch.cat([blended, rest])


@torch.no_grad()
def adam_basis_step_(
    tables: Float[torch.Tensor, "K1 ..."],
    grad: Float[torch.Tensor, "*shape"],
    coefs: Float[torch.Tensor, " K"],
    exp_avg: Float[torch.Tensor, "K1 ..."],
    exp_avg_sq: Float[torch.Tensor, "K1 ..."],
    step: int,
    lr: float,
    lr_basis: float | None = None,
    beta1: float = 0.9,
    beta2: float = 0.99,
    eps: float = 1e-15,
) -> None:
    """As `gtalk.ops.adam_basis_step_`."""
    adam_step_(tables[0], grad, exp_avg[0], exp_avg_sq[0], step, lr, beta1, beta2, eps, sparse=True)
    rate = lr if lr_basis is None else lr_basis
    for k, coef in enumerate(coefs.tolist(), start=1):
        new = [tables[k].clone(), exp_avg[k].clone(), exp_avg_sq[k].clone()]
        adam_step_(new[0], coef * grad, new[1], new[2], step, rate, beta1, beta2, eps)
        for old, value in zip((tables[k], exp_avg[k], exp_avg_sq[k]), new, strict=True):
            old.copy_(torch.where(grad != 0, value, old))
