"""Linear bases of tables: H(c) = H_0 + sum_k c_k H_k, and the optimiser step for them."""

from __future__ import annotations

import torch

from gtalk.ops import checks, native
from gtalk.ops.reference import basis as reference
from gtalk.shapes import Float


def blend_basis(
    tables: Float[torch.Tensor, "K1 ..."],
    coefs: Float[torch.Tensor, " K"],
    rest: Float[torch.Tensor, "*more"] | None = None,
) -> Float[torch.Tensor, "*blended"]:
    """tables[0] + sum_k coefs[k] * tables[k + 1], followed by the rows of `rest`, which no code moves.

    A fit should rather make the result a leaf and hand its gradient to `adam_basis_step_`, which never
    forms the [K + 1, ...] gradient.

    Args:
        tables: float32 or float64.
        coefs: of the same type.
        rest: appended along the first axis of the result (a grid's finer levels, say).

    Returns:
        [*shape], or [shape[0] + len(rest), ...]. Gradients reach tables, coefs and rest.
    """
    check(tables, coefs, rest)
    if not native.available(tables):
        return reference.blend_basis(tables, coefs, rest)
    return torch.ops.gtalk.blend_basis(tables, coefs, rest, tables.dtype)


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
    """One step of Adam on all tables, given the gradient of the blended one: row k's gradient is c_k * grad.

    Columns whose gradient is exactly 0 are left alone, moments included. `lr_basis` is the rate of rows
    1..K where it differs from row 0's. All tensors float32 and contiguous; `step` counts from 1.
    """
    check(tables, coefs)
    check_step(tables, grad, exp_avg, exp_avg_sq, step)
    if not native.available(tables):
        reference.adam_basis_step_(tables, grad, coefs, exp_avg, exp_avg_sq, step, lr, lr_basis, beta1, beta2, eps)
        return
    torch.ops.gtalk.adam_basis_step_(
        tables, grad, coefs, exp_avg, exp_avg_sq, step, lr, lr if lr_basis is None else lr_basis, beta1, beta2, eps
    )


def check(tables: torch.Tensor, coefs: torch.Tensor, rest: torch.Tensor | None = None) -> None:
    """Raise ValueError where the arguments of `blend_basis` do not fit."""
    checks.require(tables.ndim >= 2, "tables", "shape [K + 1, ...]", list(tables.shape))
    checks.has_dtype("tables", tables, torch.float32, torch.float64)
    checks.has_shape("coefs", coefs, len(tables) - 1)
    checks.has_dtype("coefs", coefs, tables.dtype)
    checks.on_one_device(["tables", "coefs"], [tables, coefs])
    if rest is not None:
        checks.has_shape("rest", rest, None, *tables.shape[2:])
        checks.has_dtype("rest", rest, tables.dtype)
        checks.on_one_device(["tables", "rest"], [tables, rest])


def check_step(
    tables: torch.Tensor, grad: torch.Tensor, exp_avg: torch.Tensor, exp_avg_sq: torch.Tensor, step: int
) -> None:
    """Raise ValueError where the further arguments of `adam_basis_step_` do not fit."""
    checks.has_shape("grad", grad, *tables.shape[1:])
    checks.has_shape("exp_avg", exp_avg, *tables.shape)
    checks.has_shape("exp_avg_sq", exp_avg_sq, *tables.shape)
    names, tensors = ["tables", "grad", "exp_avg", "exp_avg_sq"], [tables, grad, exp_avg, exp_avg_sq]
    for name, tensor in zip(names, tensors, strict=True):
        checks.has_dtype(name, tensor, torch.float32)
        checks.require(tensor.is_contiguous(), name, "a contiguous tensor", f"strides {tensor.stride()}")
    checks.require(step >= 1, "step", "a number from 1", step)
    checks.on_one_device(names, tensors)


@native.fake("blend_basis")
def _fake(tables: torch.Tensor, coefs: torch.Tensor, rest: torch.Tensor | None, dtype: torch.dtype) -> torch.Tensor:
    first = tables.shape[1] + (0 if rest is None else rest.shape[0])
    return tables.new_empty((first, *tables.shape[2:]), dtype=dtype)


@native.fake("adam_basis_step_")
def _fake_step(
    tables: torch.Tensor,
    grad: torch.Tensor,
    coefs: torch.Tensor,
    exp_avg: torch.Tensor,
    exp_avg_sq: torch.Tensor,
    step: int,
    lr: float,
    lr_basis: float,
    beta1: float,
    beta2: float,
    eps: float,
) -> None:
    return None


def _setup(ctx, inputs: tuple, output: torch.Tensor) -> None:
    tables, coefs, _, _ = inputs
    ctx.save_for_backward(tables, coefs)


def _backward(ctx, grad: torch.Tensor) -> tuple:
    tables, coefs = ctx.saved_tensors
    blended = grad[: tables.shape[1]]
    weights = torch.cat([coefs.new_ones(1), coefs])
    grad_tables = weights.reshape(-1, *[1] * blended.ndim) * blended if ctx.needs_input_grad[0] else None
    grad_coefs = tables[1:].flatten(1) @ blended.flatten() if ctx.needs_input_grad[1] else None
    return grad_tables, grad_coefs, grad[tables.shape[1] :] if ctx.needs_input_grad[2] else None, None


native.autograd("blend_basis", _backward, _setup)
