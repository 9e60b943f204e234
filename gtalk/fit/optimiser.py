"""Adam over named tensors; an expression basis is stepped from its blended table's gradient."""

from __future__ import annotations

import torch

from gtalk.ops import adam_basis_step_, adam_step_

BETAS = (0.9, 0.99)
EPSILON = 1e-15  # hash entries get tiny gradients (Mueller et al. 2022, section 4)


class Adam:
    """Kingma and Ba 2015. Keeps moments by name; the caller gives gradients and rates."""

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        self.tensors = tensors
        self.first = {n: torch.zeros_like(t) for n, t in tensors.items()}
        self.second = {n: torch.zeros_like(t) for n, t in tensors.items()}
        self.steps = dict.fromkeys(tensors, 0)

    def step(self, name: str, gradient: torch.Tensor, rate: float, *, sparse: bool = False) -> None:
        """One step on one tensor, in place; with `sparse`, numbers without a gradient are left alone."""
        self.steps[name] += 1
        with torch.no_grad():
            adam_step_(
                self.tensors[name],
                gradient,
                self.first[name],
                self.second[name],
                self.steps[name],
                rate,
                *BETAS,
                EPSILON,
                sparse=sparse,
            )

    def step_basis(
        self, name: str, table_gradient: torch.Tensor, code: torch.Tensor, rate: float, basis_rate: float
    ) -> None:
        """One step on a basis [1+K,E,F] whose blended table has the gradient given: that of H_k is c_k times it."""
        self.steps[name] += 1
        with torch.no_grad():
            adam_basis_step_(
                self.tensors[name],
                table_gradient,
                code,
                self.first[name],
                self.second[name],
                self.steps[name],
                rate,
                basis_rate,
                *BETAS,
                EPSILON,
            )

    def state(self) -> dict[str, torch.Tensor]:
        """Moments and step counts, by name."""
        names = list(self.tensors)
        counts = torch.tensor([self.steps[n] for n in names], dtype=torch.int64)
        return {
            **{f"first.{n}": self.first[n] for n in names},
            **{f"second.{n}": self.second[n] for n in names},
            "steps": counts,
        }

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Inverse of `state`."""
        for name in self.tensors:
            self.first[name].copy_(state[f"first.{name}"])
            self.second[name].copy_(state[f"second.{name}"])
        self.steps = dict(zip(self.tensors, state["steps"].tolist(), strict=True))
