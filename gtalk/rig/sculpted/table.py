"""The sculpted table `shapes.yaml`: what a person reads and edits, checked and made into handles.

A shape is a few handles: points of the mesh, how far each moves at weight 1 (x to the image's right, y up, z
out of the face, in outer-eye distances) and how far along the skin its influence reaches. Everything is written
for the person's left, which is the image's right, and mirrored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import yaml

from gtalk.errors import UserError
from gtalk.shapes import Float, Int
from gtalk.topology import MIRROR, N_FACE

TABLE_PATH = Path(__file__).with_name("shapes.yaml")
T = TypeVar("T")
OTHER_SIDE = "_r"  # ending of a point's name: its mirror image
_KINDS = ("both", "left")
_KEYS = {"sides", "reach", "handles", "iris", "follow"}
_FARTHEST = 1.0  # no handle moves farther, outer-eye distances


@dataclass(frozen=True)
class Sculpt:
    """One shape at weight 1."""

    handles: Int[np.ndarray, " H"]
    values: Float[np.ndarray, "H 3"]
    """Displacement of the handles, outer-eye distances."""
    reach: Float[np.ndarray, " H"]
    """Outer-eye distances along the skin."""
    iris_deg: tuple[tuple[float, float], tuple[float, float]] = ((0.0, 0.0), (0.0, 0.0))
    """Turn (yaw to the image's right, pitch up) of the eye on the image's left and right."""

    follow: float = 0.0
    """Share of that turn that the lids take part in."""
    follow_reach: float = 0.0

    def mirrored(self) -> Sculpt:
        """The same on the other side of the face."""
        left, right = self.iris_deg
        return Sculpt(
            MIRROR[self.handles],
            self.values * np.array([-1.0, 1.0, 1.0]),
            self.reach,
            ((-right[0], right[1]), (-left[0], left[1])),
            self.follow,
            self.follow_reach,
        )


def read_table(path: Path = TABLE_PATH) -> dict[str, Sculpt]:
    """Shapes by their full names, both sides. Raises UserError when the table says something impossible."""

    def shapes(content: Any) -> dict[str, Sculpt]:
        points = {str(name): int(index) for name, index in content["points"].items()}
        both = [_both_sides(name, entry, points) for name, entry in content["shapes"].items()]
        return {name: sculpt for sides in both for name, sculpt in sides.items()}

    expected = "`points` (names of mesh points) and `shapes` (handles: point: [x, y, z] or [x, y, z, reach])"
    return read_entries(path, shapes, f"table of shapes {path}", expected, "the head of shapes.yaml")


def read_entries(path: Path, parse: Callable[[Any], T], what: str, expected: str, example: str) -> T:
    """What `parse` makes of a table that people edit.

    Args:
        parse: may raise what strange content makes it raise.
        what, expected, example: for the error: which table, how it is written, and where that is shown.

    Raises:
        UserError: when it cannot be read, or says something impossible.
    """
    try:
        return parse(read_yaml(path))
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            what,
            expected=expected,
            got=f"{type(error).__name__}: {error}",
            remedy=f"Mend the entry; {example} shows how one is written.",
        ) from error


def read_yaml(path: Path) -> Any:
    """What a file of the package's own says; by libyaml, which is ten times as fast, where it is there.

    Raises OSError and yaml.YAMLError.
    """
    return yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@lru_cache(maxsize=1)
def sculpts() -> Mapping[str, Sculpt]:
    """The package's own table."""
    return read_table()


def _both_sides(name: str, entry: Mapping[str, Any], points: Mapping[str, int]) -> dict[str, Sculpt]:
    if set(entry) - _KEYS or entry.get("sides") not in _KINDS:
        raise ValueError(f"{name} has {sorted(set(entry) - _KEYS)}, sides {entry.get('sides')!r} (known: {_KINDS})")
    mirror_too = entry["sides"] == "both"
    rows: dict[int, list[float]] = {}
    for point, numbers in (entry.get("handles") or {}).items():
        index, row = point_index(point, points), [float(x) for x in numbers]
        row = [*row, float(entry["reach"])] if len(row) == 3 else row
        if len(row) != 4 or not all(abs(x) <= _FARTHEST for x in row[:3]) or not 0.0 <= row[3] <= 4.0:
            raise ValueError(f"{name}, {point}: {numbers}")
        if mirror_too and MIRROR[index] != index:
            rows[int(MIRROR[index])] = [-row[0], *row[1:]]
        rows[index] = row
    table = np.array(list(rows.values()), float).reshape(-1, 4)
    yaw, pitch = (float(x) for x in entry.get("iris", (0.0, 0.0)))
    other = (-yaw, pitch) if mirror_too else (0.0, 0.0)
    follow = float(entry.get("follow", 0.0))
    if not 0.0 <= follow <= 1.0:
        raise ValueError(f"{name}: follow {follow:g}")
    eyes = (other, (yaw, pitch))
    reach = float(entry.get("reach", 0.0))
    shape = Sculpt(np.array(list(rows), dtype=np.int64), table[:, :3], table[:, 3], eyes, follow, reach)
    if mirror_too:
        return {name: shape}
    if not name.endswith("Left"):
        raise ValueError(f"{name} is written for the left: its name has to end so")
    return {name: shape, name.removesuffix("Left") + "Right": shape.mirrored()}


def point_index(point: object, points: Mapping[str, int]) -> int:
    """A point of the mesh by its number or its name, `name_r` being the mirror. Raises ValueError for others."""
    if isinstance(point, str) and point.endswith(OTHER_SIDE):
        return int(MIRROR[point_index(point.removesuffix(OTHER_SIDE), points)])
    index = point if isinstance(point, int) else points.get(str(point), -1)
    if not 0 <= index < N_FACE:
        raise ValueError(f"there is no point {point!r}")
    return index
