"""A stand-in for tiny-cuda-nn with its documented interface, for machines without a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import ClassVar

import pytest
import torch

from gtalk.ops.adapters import tcnn


class _Module(torch.nn.Module):
    def __init__(self, count: int) -> None:
        super().__init__()
        self.params = torch.nn.Parameter(torch.zeros(count))


class Encoding(_Module):
    """Every output is the mean of its level's entries, times the point's x."""

    made: ClassVar[list[dict]] = []

    def __init__(self, n_input_dims: int, encoding_config: dict) -> None:
        self.made.append({"inputs": n_input_dims, **encoding_config})
        base, growth, entries = encoding_config["base_resolution"], encoding_config["per_level_scale"], []
        for level in range(encoding_config["n_levels"]):
            side = int(-(-(base * growth**level - 1.0) // 1)) + 1
            entries.append(min(-(-(side**n_input_dims) // 8) * 8, 1 << encoding_config["log2_hashmap_size"]))
        super().__init__(sum(entries) * encoding_config["n_features_per_level"])
        self.entries, self.features = entries, encoding_config["n_features_per_level"]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        table = self.params.half().reshape(-1, self.features).split(self.entries)
        return (x[:, :1].half() * torch.cat([level.mean(0) for level in table])).half()


class Network(_Module):
    """A fully fused network without biases, sizes rounded up to 16, in half precision."""

    made: ClassVar[list[dict]] = []

    def __init__(self, n_input_dims: int, n_output_dims: int, network_config: dict) -> None:
        self.made.append({"inputs": n_input_dims, "outputs": n_output_dims, **network_config})
        self.width, self.outputs = network_config["n_neurons"], n_output_dims
        self.inputs, self.rows = -(-n_input_dims // 16) * 16, -(-n_output_dims // 16) * 16
        super().__init__(self.width * (self.inputs + self.rows))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, last = self.params.half().split([self.width * self.inputs, self.width * self.rows])
        x = torch.nn.functional.pad(x.half(), (0, self.inputs - x.shape[1]), value=1.0)  # as the library pads
        hidden = (x.float() @ first.reshape(self.width, -1).T.float()).relu()
        return (hidden @ last.reshape(self.rows, -1).T.float())[:, : self.outputs].half()


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """In the library's place, on any device."""
    library = ModuleType("tinycudann")
    library.Encoding, library.Network = Encoding, Network  # type: ignore[attr-defined]
    monkeypatch.setattr(tcnn, "require", lambda device: library)
    for made in (tcnn._encoding, tcnn._network):
        made.cache_clear()
    yield library
    for made in (tcnn._encoding, tcnn._network):
        made.cache_clear()
