"""The layout of a multi-resolution hash grid (Mueller et al. 2022, section 3)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

PRIMES = (1, 2_654_435_761, 805_459_861)


@dataclass(frozen=True)
class GridSpec:
    """Levels of a hash grid over the unit square or cube. Level l has (resolution + 1)^dim corners."""

    dim: int
    resolutions: tuple[int, ...]
    log2_table_size: int
    n_features: int = 2

    @staticmethod
    def geometric(
        dim: int, n_levels: int, base: int, finest: int, log2_table_size: int, n_features: int = 2
    ) -> GridSpec:
        """Resolutions that grow by a constant factor from `base` to `finest`."""
        growth = (finest / base) ** (1 / max(n_levels - 1, 1))
        return GridSpec(dim, tuple(round(base * growth**i) for i in range(n_levels)), log2_table_size, n_features)

    @property
    def n_levels(self) -> int:
        """Number of levels L."""
        return len(self.resolutions)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Where each level's entries begin, and the total: L + 1 numbers."""
        sizes = (min((r + 1) ** self.dim, 1 << self.log2_table_size) for r in self.resolutions)
        return (0, *itertools.accumulate(sizes))

    @property
    def n_entries(self) -> int:
        """Entries of all levels together."""
        return self.offsets[-1]

    @property
    def output_size(self) -> int:
        """Features of a point: L * n_features."""
        return self.n_levels * self.n_features
