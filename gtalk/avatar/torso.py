"""Neck, torso and clothes: a 2D hash-grid image with coverage, laid on a plane that moves with the torso.

Its coordinates are the image's own, in image heights, with the torso's tracked similarity undone.
Like the head's, its coarse tables are a linear basis, here over head pose, the torso's own placement and
the jaw, so that the neck follows the head, a turned body changes its outline, and nothing is replayed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gtalk.avatar.pose_code import PLACES
from gtalk.ops import GridSpec, blend_basis, hash_encode, mlp
from gtalk.shapes import Bool, Float

MARGIN = 0.2  # of the image's height, around it: what a moved torso brings into view
OUTPUTS = 4  # colour and coverage
WARP_UNIT = 0.1  # of the unit square: how fast the warp learns beside tables that would rather fade than move


@dataclass(frozen=True)
class TorsoConfig:
    """Size of the torso field."""

    levels: int = 10
    """Hash-grid levels."""
    log2_table: int = 14
    """Entries of one level's table, as a power of two."""
    base_resolution: int = 8
    finest_resolution: int = 320
    """Cells along the image at the coarsest and the finest level."""
    blended_levels: int = 5
    """Coarsest levels whose tables follow head pose and jaw."""
    hidden: int = 32
    """Width of the network."""
    warp_cells: int = 8
    """Control points along the image of the smooth displacement that head pose and placement cause."""
    jaw_codes: int = 2
    """Leading mouth components that the neck sees."""
    area_resolution: int = 96
    """Cells of the map of where the torso may be."""


def torso_spec(config: TorsoConfig) -> GridSpec:
    """The grid that a config describes."""
    return GridSpec.geometric(2, config.levels, config.base_resolution, config.finest_resolution, config.log2_table)


def initial_tensors(config: TorsoConfig, rng: torch.Generator | None) -> dict[str, torch.Tensor]:
    """Fresh parameters, by name."""
    spec, code_size = torso_spec(config), PLACES + config.jaw_codes
    inputs, hidden = 2 * config.levels, config.hidden
    blended = spec.offsets[config.blended_levels]

    def uniform(*shape: int, bound: float) -> torch.Tensor:
        return (torch.rand(*shape, generator=rng) * 2.0 - 1.0) * bound

    return {
        "basis": torch.cat([uniform(1, blended, 2, bound=1e-2), torch.zeros(code_size, blended, 2)]),
        "fine": uniform(spec.n_entries - blended, 2, bound=1e-2),
        "warp": torch.zeros(code_size, 2, config.warp_cells, config.warp_cells),
        "w0": uniform(hidden, inputs, bound=(6.0 / inputs) ** 0.5),
        "b0": torch.zeros(hidden),
        "code": torch.zeros(code_size, hidden),
        "w1": uniform(OUTPUTS, hidden, bound=(6.0 / hidden) ** 0.5),
        "b1": torch.zeros(OUTPUTS),
        "place_mean": torch.zeros(PLACES),
        "place_spread": torch.ones(PLACES),
    }


def blended_table(tensors: dict[str, torch.Tensor], code: Float[torch.Tensor, " K"]) -> Float[torch.Tensor, "E 2"]:
    """The tables of one instant: coarse levels blended by the code, fine levels as they are."""
    return blend_basis(tensors["basis"], code, tensors["fine"])


def to_unit(points: Float[torch.Tensor, "N 2"], aspect: float) -> Float[torch.Tensor, "N 2"]:
    """Image heights to the field's unit square. `aspect` is width over height."""
    return (points + MARGIN) / (max(aspect, 1.0) + 2.0 * MARGIN)


def inside_area(unit: Float[torch.Tensor, "N 2"], area: Bool[torch.Tensor, "R R"]) -> Bool[torch.Tensor, " N"]:
    """Whether points of the unit square may show the torso. `area` is indexed [y, x]."""
    resolution = area.shape[0]
    cell = torch.floor(unit * resolution).long()
    within = ((cell >= 0) & (cell < resolution)).all(-1)
    x, y = cell.clamp(0, resolution - 1).unbind(-1)
    return within & area[y, x]


def displacement(
    warp: Float[torch.Tensor, "K 2 G G"], code: Float[torch.Tensor, " K"], unit: Float[torch.Tensor, "N 2"]
) -> Float[torch.Tensor, "N 2"]:
    """What a code displaces points of the unit square by: linear in the code, bilinear between control points."""
    field = torch.einsum("k,kdyx->dyx", code * WARP_UNIT, warp)
    places = (2.0 * unit - 1.0)[None, None]
    moved = torch.nn.functional.grid_sample(field[None], places, padding_mode="border", align_corners=True)
    return moved[0, :, 0].T


def evaluate(
    config: TorsoConfig,
    tensors: dict[str, torch.Tensor],
    code: Float[torch.Tensor, " K"],
    unit: Float[torch.Tensor, "N 2"],
    table: Float[torch.Tensor, "E 2"] | None = None,
) -> tuple[Float[torch.Tensor, "N 3"], Float[torch.Tensor, " N"]]:
    """Premultiplied colour and coverage at points of the unit square."""
    if table is None:
        table = blended_table(tensors, code)
    encoded = hash_encode(unit + displacement(tensors["warp"], code, unit), table, torso_spec(config))
    out = torch.sigmoid(
        mlp(encoded, [tensors["w0"], tensors["w1"]], [tensors["b0"] + code @ tensors["code"], tensors["b1"]])
    )
    alpha = out[:, 3]
    return out[:, :3] * alpha[:, None], alpha
