"""The folds of the face, `folds.yaml`: how much darker each shape of the rig makes a place on the skin.

A fold is a line on the mesh. Across it, skin is dark in the valley and, on the side on which it heaps up, a little
brighter beside it: at distance d and width w, in units of the fold's depth,

    -exp(-(d / w)^2) + RIDGE exp(-((d - RIDGE_AT w) / w)^2)

which integrates to nearly nothing, so that a creased face is no darker as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from gtalk.rig.sculpted.table import TABLE_PATH, point_index, read_entries, read_yaml
from gtalk.shapes import Float
from gtalk.topology import LEFT_EYE_RING, MIRROR, RIGHT_EYE_RING

FOLDS_PATH = Path(__file__).with_name("folds.yaml")
RIDGE, RIDGE_AT = 0.45, 1.7
END_SHARE = 0.3  # of a fold's length, on which it fades
_SAMPLES = 48  # of a line
_MOST_DEPTH, _MOST_WIDTH = 0.6, 0.2
_KEYS = {"says", "along", "width", "bulge", "ends", "shapes"}


@dataclass(frozen=True)
class Fold:
    """One fold of one side of the face."""

    along: Float[np.ndarray, "P 478"]
    """Weights of the mesh's points at the corners of its line."""
    width: float
    """Outer-eye distances."""
    bulge: tuple[float, float]
    """Towards the image's right and up."""
    ends: tuple[float, float]
    shapes: Mapping[str, float]
    """Depth of the valley at weight 1, by the shape's full name."""

    @property
    def from_middle(self) -> bool:
        """Whether it begins on the midline."""
        return bool((MIRROR[np.flatnonzero(self.along[0])] == np.flatnonzero(self.along[0])).all())


def read_folds(path: Path = FOLDS_PATH, points_path: Path = TABLE_PATH) -> list[Fold]:
    """The folds of both sides. Raises UserError when the table says something impossible."""

    def both_sides(content: Any) -> list[Fold]:
        points = {str(name): int(index) for name, index in read_yaml(points_path)["points"].items()}
        return [fold for name, entry in content.items() for fold in _both_sides(name, entry, points)]

    expected = "folds, each with `along` (points of the mesh), width, bulge, ends and shapes"
    return read_entries(path, both_sides, f"table of folds {path}", expected, "the head of folds.yaml")


@lru_cache(maxsize=1)
def folds() -> Sequence[Fold]:
    """The package's own."""
    return tuple(read_folds())


def depths(names: Sequence[str]) -> Float[np.ndarray, "E F"]:
    """How deep each fold is at weight 1 of each shape: its darkest place loses so large a share of its brightness."""
    return np.array([[fold.shapes.get(name, 0.0) for fold in folds()] for name in names])


def profiles(
    mesh: Float[np.ndarray, "478 3"], feet: Float[np.ndarray, "N 3"], normals: Float[np.ndarray, "N 3"]
) -> Float[np.ndarray, "F N"]:
    """What each fold, of a depth of 1, adds to the brightness of places on the skin, as a share of it.

    Args:
        mesh: of the person, head space.
        feet, normals: the places, on the mesh's surface, and its unit normals there.
    """
    unit = float(np.linalg.norm(mesh[RIGHT_EYE_RING[8]] - mesh[LEFT_EYE_RING[0]]))
    out = np.zeros((len(folds()), len(feet)))
    for row, fold in zip(out, folds(), strict=True):
        near, profile = _profile(fold, mesh, unit, feet, normals)
        row[near] = profile
    return out


def _profile(fold: Fold, mesh: np.ndarray, unit: float, feet: np.ndarray, normals: np.ndarray) -> tuple[Any, Any]:
    """Rows of the places near a fold, and its profile there for a depth of 1."""
    line = _smooth(fold.along @ mesh, _SAMPLES)
    low, high = line.min(0) - 4.0 * fold.width * unit, line.max(0) + 4.0 * fold.width * unit
    near = np.flatnonzero(((feet > low) & (feet < high)).all(1))
    away = feet[near][:, None] - line[None]
    nearest = np.linalg.norm(away, axis=-1).argmin(1)
    tangent = np.gradient(line, axis=0)[nearest]
    length = np.maximum(np.linalg.norm(tangent, axis=-1, keepdims=True), 1e-12)
    offset = away[np.arange(len(near)), nearest]
    across = np.cross(normals[near], tangent / length)
    across *= np.sign(across[:, :2] @ np.array(fold.bulge))[:, None]
    beyond = (offset * tangent / length).sum(1)  # of the line's ends; 0 elsewhere, nearly
    d = (offset * across).sum(1) / (fold.width * unit)
    past = np.exp(-((beyond / (fold.width * unit)) ** 2))
    if fold.from_middle:  # where the other side's fold goes on: together they are one
        side = np.sign(line[-1, 0] - line[0, 0]) * feet[near, 0] / (fold.width * unit)
        past = np.where(nearest == 0, 1.0, past) * _ease(0.5 + 0.5 * side)
    profile = -np.exp(-(d**2)) + RIDGE * np.exp(-((d - RIDGE_AT) ** 2))
    at = nearest / (len(line) - 1)
    first, last = (1.0 - share * (1.0 - _ease(x / END_SHARE)) for share, x in zip(fold.ends, (at, 1 - at), strict=True))
    return near, profile * past * first * last


def _ease(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def _smooth(corners: np.ndarray, count: int) -> np.ndarray:
    """Points of a curve through corners (Catmull and Rom 1974), evenly by parameter."""
    p = np.concatenate([2 * corners[:1] - corners[1:2], corners, 2 * corners[-1:] - corners[-2:-1]])
    t = np.linspace(0.0, len(corners) - 1.0, count)
    k = np.minimum(t.astype(int), len(corners) - 2)
    u = (t - k)[:, None]
    a, b, c, d = (p[k + i] for i in range(4))
    return 0.5 * (2 * b + (c - a) * u + (2 * a - 5 * b + 4 * c - d) * u**2 + (3 * (b - c) + d - a) * u**3)


def _both_sides(name: str, entry: Mapping[str, Any], points: Mapping[str, int]) -> list[Fold]:
    if set(entry) != _KEYS:
        raise ValueError(f"{name} has {sorted(entry)}; it takes {sorted(_KEYS)}")
    width, bulge = float(entry["width"]), tuple(float(x) for x in entry["bulge"])
    ends = tuple(float(x) for x in entry["ends"])
    if not 0.0 < width <= _MOST_WIDTH or len(bulge) != 2 or not any(bulge):
        raise ValueError(f"{name}: width {width:g} (at most {_MOST_WIDTH:g}), bulge {bulge}")
    if len(ends) != 2 or not all(0.0 <= x <= 1.0 for x in ends) or len(entry["along"]) < 2:
        raise ValueError(f"{name}: ends {ends}, {len(entry['along'])} points (at least 2)")
    depths = {str(shape): float(depth) for shape, depth in entry["shapes"].items()}
    if not all(0.0 < depth <= _MOST_DEPTH for depth in depths.values()):
        raise ValueError(f"{name}: depths {depths} (at most {_MOST_DEPTH:g})")
    along = np.zeros((len(entry["along"]), len(MIRROR)))
    for row, place in zip(along, entry["along"], strict=True):
        first, second, share = place if isinstance(place, list) else (place, place, 0.0)
        row[point_index(first, points)] += 1.0 - float(share)
        row[point_index(second, points)] += float(share)
    mirrored = np.zeros_like(along)
    mirrored[:, MIRROR] = along
    return [
        Fold(along, width, (bulge[0], bulge[1]), (ends[0], ends[1]), _of_side(depths, "Left")),
        Fold(mirrored, width, (-bulge[0], bulge[1]), (ends[0], ends[1]), _of_side(depths, "Right")),
    ]


def _of_side(depths: Mapping[str, float], side: str) -> dict[str, float]:
    from gtalk.rig.shapes import SHAPES  # which reads this folder

    out: dict[str, float] = {}
    for shape, depth in depths.items():
        known = [name for name in (shape + side, shape) if name in SHAPES]
        if not known:
            raise ValueError(f"there is no shape {shape}")
        out |= dict.fromkeys(known, depth)
    return out
