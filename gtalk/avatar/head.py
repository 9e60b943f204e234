"""The head: a hash-grid radiance field in head space whose tables are blended by the face's code.

The tables of the coarse levels are a linear basis over the code, H(c) = H_0 + sum_k c_k H_k, summed once
per frame, so that an expression costs nothing per sample. H_k is kept only for the entries that the face's code
may reach: near what it moves. A coarse warp of space follows the same code there, and where head and torso are
everywhere. A ray's samples are composited as features; one small network turns each ray's feature into a colour
(Hedman et al. 2021, "Baking Neural Radiance Fields", deferred shading).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from gtalk.avatar.pose_code import PLACES
from gtalk.ops import GridSpec
from gtalk.ops.adapters.encoding import Encoding
from gtalk.ops.adapters.tcnn import TcnnEncoding, TcnnGridSpec
from gtalk.render.field import FrameField
from gtalk.shapes import Float, Shaped


@dataclass(frozen=True)
class HeadConfig:
    """Size of the head field."""

    levels: int = 16
    """Hash-grid levels."""
    log2_table: int = 15
    """Entries of one level's table, as a power of two; coarse levels need fewer."""
    base_resolution: int = 16
    finest_resolution: int = 320
    """Cells along the head's cube at the coarsest and the finest level."""
    blended_levels: int = 8
    """Coarsest levels whose tables follow the expression."""
    warp_cells: int = 16
    """Control points along the cube of the smooth displacement that expression and places cause."""
    hidden: int = 32
    """Width of the density network."""
    colour_hidden: int = 32
    """Width of the colour network."""
    occupancy_resolution: int = 64
    """Voxels along the cube in which samples are skipped or taken."""
    step_m: float = 0.0025
    """Distance of samples along a ray, metres."""
    max_samples: int = 48
    """Samples of one ray, at most."""
    backend: Literal["gtalk", "tinycudann"] = "gtalk"
    """Who encodes points and evaluates networks. tinycudann needs CUDA, also to render what was fitted with it."""


WARP_UNIT = 0.01  # of the cube: what one step of an optimiser changes must be small
CHANNELS = 16  # one density and 15 features
ROTATION = slice(3, 6)  # of the places, seen by the colour network: the light stays while the head turns


def head_encoding(config: HeadConfig) -> Encoding:
    """The grid that a config describes, and who reads it."""
    own = GridSpec.geometric(3, config.levels, config.base_resolution, config.finest_resolution, config.log2_table)
    if config.backend == "gtalk":
        return Encoding(own)
    return TcnnEncoding(TcnnGridSpec(own.dim, own.resolutions, own.log2_table_size, own.n_features))


def initial_tensors(
    config: HeadConfig, code_size: int, rng: torch.Generator | None, reached: int = 0
) -> dict[str, torch.Tensor]:
    """Fresh parameters, by name. `reached`: how many entries of the coarse tables the face's code may change."""
    spec = head_encoding(config).spec
    blended = spec.offsets[config.blended_levels]
    inputs, hidden, colour = 2 * config.levels, config.hidden, config.colour_hidden

    def uniform(*shape: int, bound: float) -> torch.Tensor:
        return (torch.rand(*shape, generator=rng) * 2.0 - 1.0) * bound

    return {
        "coarse": uniform(blended, 2, bound=1e-2),
        "fine": uniform(spec.n_entries - blended, 2, bound=1e-2),
        "reach": torch.zeros(reached, dtype=torch.int64),
        "basis": torch.zeros(code_size, reached, 2),
        "warp": torch.zeros(code_size + PLACES, 3, *[config.warp_cells] * 3),
        "density.w0": uniform(hidden, inputs, bound=(6.0 / inputs) ** 0.5),
        "density.b0": torch.zeros(hidden),
        "density.w1": uniform(CHANNELS, hidden, bound=(6.0 / hidden) ** 0.5),
        "density.b1": torch.zeros(CHANNELS),
        "colour.w0": uniform(colour, CHANNELS - 1, bound=(6.0 / CHANNELS) ** 0.5),
        "colour.b0": torch.zeros(colour),
        "colour.pose": torch.zeros(3, colour),
        "colour.w1": uniform(3, colour, bound=(6.0 / colour) ** 0.5),
        "colour.b1": torch.zeros(3),
    }


def blended_table(
    tensors: dict[str, torch.Tensor], code: Float[torch.Tensor, " K"], dtype: torch.dtype | None = None
) -> Shaped[torch.Tensor, "E 2"]:
    """The tables of one instant, of type `dtype`: coarse levels follow the code where it reaches, fine ones never."""
    basis = tensors["basis"]
    added = (code @ basis.reshape(len(code), -1)).reshape(basis.shape[1:])
    table = torch.cat([tensors["coarse"], tensors["fine"]]).index_add_(0, tensors["reach"], added)
    return table if dtype is None else table.to(dtype)


def frame_field(
    config: HeadConfig,
    tensors: dict[str, torch.Tensor],
    code: Float[torch.Tensor, " K"],
    places: Float[torch.Tensor, " J"],
    table: Shaped[torch.Tensor, "E 2"] | None = None,
) -> FrameField:
    """The field of one frame. `places` [PLACES]; `table`, when given, is the blended table (a leaf, during the fit)."""
    if table is None:
        table = blended_table(tensors, code)
    return FrameField(
        head_encoding(config),
        table,
        tensors["density.w0"],
        tensors["density.b0"],
        tensors["density.w1"],
        tensors["density.b1"],
        tensors["colour.w0"],
        tensors["colour.b0"] + places[ROTATION] @ tensors["colour.pose"],
        tensors["colour.w1"],
        tensors["colour.b1"],
        torch.einsum("k,kdzyx->dzyx", torch.cat([code, places]) * WARP_UNIT, tensors["warp"]),
    )
