"""The shape of a multi-resolution hash grid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

PRIME_Y, PRIME_Z = 2654435761, 805459861
Vertices = Any  # an array of numpy or torch: the same arithmetic for both


@dataclass(frozen=True)
class GridSpec:
    """Vertices of `len(resolutions)` grids over the unit square or cube, each with `n_features` numbers.

    A level with `resolutions[l]` cells along each axis has (res + 1)^dim vertices. It is stored whole
    (dense) when they fit into 2^log2_table_size entries, x fastest; otherwise vertices share that many
    entries through a hash (Mueller et al. 2022, "Instant Neural Graphics Primitives"), with one change:
    entry = (x + h(y, z)) mod 2^log2_table_size, so that neighbours along x are neighbours in memory.
    """

    dim: int
    """2 or 3."""
    resolutions: tuple[int, ...]
    """Cells along each axis, level by level."""
    log2_table_size: int
    """Entries of one level, at most, as a power of two."""
    n_features: int = 2
    """Numbers at each vertex."""

    def __post_init__(self) -> None:
        if self.dim not in {2, 3}:
            raise ValueError(f"dim: expected 2 or 3; got {self.dim}.")
        if not self.resolutions or min(self.resolutions) < 1 or max(self.resolutions) > 1 << 20:
            raise ValueError(f"resolutions: expected one or more numbers in 1..2^20; got {self.resolutions}.")
        if not 1 <= self.log2_table_size <= 26:
            raise ValueError(f"log2_table_size: expected 1..26; got {self.log2_table_size}.")
        if not 1 <= self.n_features <= 16:
            raise ValueError(f"n_features: expected 1..16; got {self.n_features}.")

    @staticmethod
    def geometric(
        dim: int, n_levels: int, base: int, finest: int, log2_table_size: int, n_features: int = 2
    ) -> GridSpec:
        """Resolutions in geometric progression from `base` to `finest` cells."""
        growth = (finest / base) ** (1.0 / max(n_levels - 1, 1))
        resolutions = tuple(round(base * growth**level) for level in range(n_levels))
        return GridSpec(dim, resolutions, log2_table_size, n_features)

    @property
    def n_levels(self) -> int:
        """Number of levels L."""
        return len(self.resolutions)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Entries of each level."""
        return tuple(min((res + 1) ** self.dim, 1 << self.log2_table_size) for res in self.resolutions)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """First entry of each level, and the number of all entries: L + 1 numbers."""
        return tuple(accumulate(self.sizes, initial=0))

    def side(self, level: int) -> int:
        """Vertices along each axis."""
        return self.resolutions[level] + 1

    def vertex_places(self, level: int, vertices: Vertices) -> Vertices:
        """Where vertices [N, dim], whole numbers, lie in the unit square or cube."""
        return vertices / self.resolutions[level]

    def vertex_entries(self, level: int, vertices: Vertices) -> Vertices:
        """Entries of vertices [N, dim] within their level."""
        x, y = vertices[:, 0], vertices[:, 1]
        z = vertices[:, 2] if self.dim == 3 else 0 * x
        if self.is_dense(level):
            return x + self.side(level) * (y + self.side(level) * z)
        return (x + ((y * PRIME_Y) ^ (z * PRIME_Z))) & ((1 << self.log2_table_size) - 1)

    def is_dense(self, level: int) -> bool:
        """Whether every vertex of the level has an entry of its own."""
        return self.side(level) ** self.dim <= 1 << self.log2_table_size

    @property
    def n_entries(self) -> int:
        """Entries of all levels: rows of the table."""
        return self.offsets[-1]

    @property
    def output_size(self) -> int:
        """Numbers per encoded point, L * n_features."""
        return self.n_levels * self.n_features
