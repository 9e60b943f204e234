"""Who encodes points and evaluates the small networks behind them: this package's operations, or an adapter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from gtalk.ops.grid import GridSpec
from gtalk.ops.hash_encode import hash_encode
from gtalk.ops.mlp import mlp
from gtalk.shapes import Float, Shaped


@dataclass(frozen=True)
class Encoding:
    """A hash grid read by this package's operations; adapters override both."""

    spec: GridSpec
    fused: ClassVar[bool] = True
    """Whether `render_rays` reads its tables."""

    def encode(
        self, points: Float[torch.Tensor, "N D"], table: Shaped[torch.Tensor, "E F"]
    ) -> Float[torch.Tensor, "N LF"]:
        """Features of points, as `hash_encode`."""
        return hash_encode(points, table, self.spec)

    def network(
        self, x: Float[torch.Tensor, "N I"], weights: Sequence[torch.Tensor], biases: Sequence[torch.Tensor]
    ) -> Float[torch.Tensor, "N O"]:
        """A network with ReLU, as `mlp`."""
        return mlp(x, weights, biases)
