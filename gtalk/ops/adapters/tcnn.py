"""tiny-cuda-nn in the place of `hash_encode` and `mlp`: another backend of the head field on CUDA.

Its grids keep their entries in an order of their own, so a table belongs to the backend it was fitted with. Its
networks have no biases: the first layer's is the weight of an input that is always one, the last layer's is added
afterwards. All parameters stay with the caller, as float32; they are handed in at each call, and gradients reach them.

Written after the documentation and sources of tiny-cuda-nn 1.7 and tested with a stand-in: no GPU has run it yet.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from types import ModuleType
from typing import ClassVar

import torch
from torch.nn.functional import pad

from gtalk.errors import UserError
from gtalk.ops import checks
from gtalk.ops.adapters.encoding import Encoding
from gtalk.ops.grid import PRIME_Y, PRIME_Z, GridSpec, Vertices
from gtalk.shapes import Float

WIDTHS = (16, 32, 64, 128)  # of FullyFusedMLP
ALIGNMENT = 16  # its layers' sizes are rounded up to this
ENTRY_ALIGNMENT = 8  # and the entries of a level to this


@dataclass(frozen=True)
class TcnnGridSpec(GridSpec):
    """A grid as tiny-cuda-nn lays it out: the same resolutions, other vertices and other entries."""

    @property
    def growth(self) -> float:
        """Its `per_level_scale`."""
        return (self.resolutions[-1] / self.resolutions[0]) ** (1.0 / max(self.n_levels - 1, 1))

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Entries of each level."""
        sides = (self.side(level) for level in range(self.n_levels))
        return tuple(min(_rounded_up(side**self.dim, ENTRY_ALIGNMENT), 1 << self.log2_table_size) for side in sides)

    def scale(self, level: int) -> float:
        """Cells along the unit cube, not a whole number."""
        return self.resolutions[0] * self.growth**level - 1.0

    def side(self, level: int) -> int:
        """Vertices along each axis."""
        return math.ceil(self.scale(level)) + 1

    def vertex_places(self, level: int, vertices: Vertices) -> Vertices:
        """Where vertices lie: half a cell beside those of our own grids."""
        return (vertices - 0.5) / self.scale(level)

    def vertex_entries(self, level: int, vertices: Vertices) -> Vertices:
        """Entries of vertices [N, 3] within their level."""
        x, y, z = vertices[:, 0], vertices[:, 1], vertices[:, 2]
        if self.is_dense(level):
            return x + self.side(level) * (y + self.side(level) * z)
        return (x ^ (y * PRIME_Y) ^ (z * PRIME_Z)) & ((1 << self.log2_table_size) - 1)


@dataclass(frozen=True)
class TcnnEncoding(Encoding):
    """A hash grid read by tiny-cuda-nn; `spec` is a TcnnGridSpec."""

    spec: TcnnGridSpec
    fused: ClassVar[bool] = False

    def encode(
        self, points: Float[torch.Tensor, "N D"], table: Float[torch.Tensor, "E F"]
    ) -> Float[torch.Tensor, "N LF"]:
        """See `hash_encode`."""
        return hash_encode(points, table, self.spec)

    def network(
        self, x: Float[torch.Tensor, "N I"], weights: Sequence[torch.Tensor], biases: Sequence[torch.Tensor]
    ) -> Float[torch.Tensor, "N O"]:
        """See `mlp`."""
        return mlp(x, list(weights), list(biases))


def require(device: torch.device) -> ModuleType:
    """The library. Raises UserError where it is not installed or the device is not CUDA."""
    got = f"device {device}"
    if device.type == "cuda":
        try:
            return importlib.import_module("tinycudann")
        except (ImportError, OSError) as error:  # it raises EnvironmentError where it finds no GPU
            got = str(error)
    raise UserError(
        "backend tinycudann",
        expected="a CUDA device, and tiny-cuda-nn built for it",
        got=got,
        remedy="Install the extra `cuda` on a machine with a GPU, or set avatar.head.backend to gtalk.",
    )


def hash_encode(
    points: Float[torch.Tensor, "N D"], table: Float[torch.Tensor, "E F"], spec: TcnnGridSpec
) -> Float[torch.Tensor, "N LF"]:
    """As `gtalk.ops.hash_encode`, float32. Gradients reach points and table."""
    checks.has_shape("points", points, None, spec.dim)
    checks.has_shape("table", table, spec.n_entries, spec.n_features)
    return _call(_encoding(spec, points.device), table.float().reshape(-1), points.clamp(0.0, 1.0))


def mlp(
    x: Float[torch.Tensor, "N I"],
    weights: list[Float[torch.Tensor, "_ _"]],
    biases: list[Float[torch.Tensor, " _"]],
) -> Float[torch.Tensor, "N O"]:
    """As `gtalk.ops.mlp` with ReLU and one hidden layer of 16, 32, 64 or 128. Gradients reach all arguments."""
    checks.require(len(weights) == len(biases) == 2, "weights", "two layers with biases", len(weights))
    hidden, outputs = weights[0].shape[0], weights[1].shape[0]
    checks.require(hidden in WIDTHS, "weights[0]", f"a width of {WIDTHS}", hidden)
    checks.has_shape("weights[0]", weights[0], None, x.shape[1])
    checks.has_shape("weights[1]", weights[1], None, hidden)
    first = torch.cat([weights[0], biases[0][:, None]], 1)
    first = pad(first, (0, _rounded_up(first.shape[1], ALIGNMENT) - first.shape[1]))
    last = pad(weights[1], (0, 0, 0, _rounded_up(outputs, ALIGNMENT) - outputs))
    ones = torch.ones_like(x[:, :1])
    network = _network(x.shape[1] + 1, outputs, hidden, x.device)
    return _call(network, torch.cat([first.reshape(-1), last.reshape(-1)]), torch.cat([x, ones], 1)) + biases[1]


@cache
def _encoding(spec: TcnnGridSpec, device: torch.device) -> torch.nn.Module:
    options = {
        "otype": "HashGrid",
        "n_levels": spec.n_levels,
        "n_features_per_level": spec.n_features,
        "log2_hashmap_size": spec.log2_table_size,
        "base_resolution": spec.resolutions[0],
        "per_level_scale": spec.growth,
    }
    return require(device).Encoding(spec.dim, options).to(device)


@cache
def _network(inputs: int, outputs: int, hidden: int, device: torch.device) -> torch.nn.Module:
    options = {
        "otype": "FullyFusedMLP",
        "activation": "ReLU",
        "output_activation": "None",
        "n_neurons": hidden,
        "n_hidden_layers": 1,
    }
    return require(device).Network(inputs, outputs, options).to(device)


def _call(module: torch.nn.Module, parameters: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """A module with other parameters than its own; what it returns in half precision becomes float32."""
    own = module.get_parameter("params").numel()
    checks.require(own == parameters.numel(), "tinycudann", f"{parameters.numel()} parameters", own)
    return torch.func.functional_call(module, {"params": parameters}, (x,)).float()


def _rounded_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
