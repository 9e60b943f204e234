"""What a face expresses: weights of shapes by name, and how head, gaze, lids and articulation lean with it.

Named expressions are recipes in `expressions.yaml`: which shapes at full intensity (FACS' action units, Ekman and
Friesen 1978), how each grows with intensity, and the biases. Recipes mix linearly, region by region.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from gtalk.errors import UserError
from gtalk.rig.sculpted.table import read_entries
from gtalk.rig.shapes import SHAPES, WHOLE
from gtalk.shapes import Float

RECIPES_PATH = Path(__file__).with_name("expressions.yaml")
REGIONS = ("brows", "eyes", "cheeks", "mouth")
_OF_REGION = {"brow": "brows", "eye": "eyes", "cheek": "cheeks", "nose": "cheeks"}  # the rest is mouth
_HEAD, _GAINS = ("head_deg", "gaze_deg"), ("jaw_gain", "lip_gain", "sway_gain")
OWN = "own."
"""What the name of a person's own expression begins with where people write it."""
MOST_WEIGHT = 1.5  # in a recipe; edits bend what exceeds 1


@dataclass(frozen=True)
class Expression:
    """One expression. `neutral` is the one without arguments."""

    weights: Mapping[str, float] = field(default_factory=dict)
    """By names of SHAPES; absent ones are 0."""
    head_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Bias of the head: yaw to the image's right, pitch up, roll clockwise in the image; degrees."""
    gaze_deg: tuple[float, float] = (0.0, 0.0)
    """Bias of the gaze in the head: yaw to the image's right, pitch up; degrees."""
    jaw_gain: float = 1.0
    """Factor on how far speech opens the jaw."""
    lip_gain: float = 1.0
    """Factor on how far speech moves the lips."""
    sway_gain: float = 1.0
    """Factor on how far the head moves by itself."""

    def vector(self) -> Float[np.ndarray, " E"]:
        """Weights in the order of SHAPES."""
        return np.array([self.weights.get(name, 0.0) for name in SHAPES])

    def only(self, regions: Iterable[str]) -> Expression:
        """The weights of some regions. Biases of the head stay; those of gaze go with `eyes`, gains with `mouth`."""
        kept = check_regions(regions)
        weights = {name: value for name, value in self.weights.items() if region_of(name) in kept}
        out = dataclasses.replace(self, weights=weights)
        if "eyes" not in kept:
            out = dataclasses.replace(out, gaze_deg=(0.0, 0.0))
        return out if "mouth" in kept else dataclasses.replace(out, jaw_gain=1.0, lip_gain=1.0)

    def plus(self, other: Expression) -> Expression:
        """The mixture: weights and biases add up, gains multiply."""
        weights = {n: self.weights.get(n, 0.0) + other.weights.get(n, 0.0) for n in {*self.weights, *other.weights}}
        sums = {n: tuple(np.add(getattr(self, n), getattr(other, n)).tolist()) for n in _HEAD}
        products = {n: getattr(self, n) * getattr(other, n) for n in _GAINS}
        return Expression(weights, **sums, **products)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Recipe:
    """A named expression as a function of intensity."""

    name: str
    says: str
    """One sentence for people who choose."""
    shapes: Mapping[str, tuple[float, float]]
    """Weight at intensity 1 and the power of the intensity that it grows with, by names of SHAPES."""
    full: Expression
    """Biases and gains at intensity 1."""
    aliases: tuple[str, ...] = ()
    emotion: bool = False
    """One of the seven basic emotions."""

    def at(self, intensity: float) -> Expression:
        """The expression at an intensity of 0 (nothing) to 1."""
        weights = {name: weight * intensity**power for name, (weight, power) in self.shapes.items()}
        scaled = {n: tuple(intensity * value for value in getattr(self.full, n)) for n in _HEAD}
        gains = {n: getattr(self.full, n) ** intensity for n in _GAINS}
        if intensity == 0.0:
            return Expression()
        return Expression(weights, **scaled, **gains)  # type: ignore[arg-type]


@lru_cache(maxsize=1)
def recipes() -> Mapping[str, Recipe]:
    """The named expressions of the package."""
    return read_recipes()


def names() -> tuple[str, ...]:
    """Names that `named` knows, aliases apart."""
    return tuple(recipes())


def named(name: str, intensity: float = 1.0, bank: Mapping[str, Recipe] | None = None) -> Expression:
    """A named expression at an intensity of 0 to 1.

    Args:
        bank: a person's own expressions, which come first.

    Raises:
        UserError: an unknown name (the nearest known ones are said), or an intensity out of range.
    """
    known = {**recipes(), **(bank or {})}
    aliases = {alias: key for key, recipe in known.items() for alias in recipe.aliases if alias not in known}
    asked = name.strip().lower()
    key = next((own for own in known if own.lower() == asked), aliases.get(asked))
    if key is None:
        raise _unknown("expression", name, [*known, *aliases, *_every_shape()])
    if not 0.0 <= intensity <= 1.0:
        raise UserError(
            f"intensity of {key}",
            expected="a number from 0 to 1",
            got=f"{intensity:g}",
            remedy=f"Write `{key}:0.7`, or `{key}` for its full strength.",
        )
    return known[key].at(float(intensity))


def mixture(parts: Sequence[tuple[str, float]], bank: Mapping[str, Recipe] | None = None) -> Expression:
    """Several named expressions at once. Raises UserError as `named` does."""
    out = Expression()
    for name, intensity in parts:
        out = out.plus(named(name, intensity, bank))
    return out


def parse(text: str, bank: Mapping[str, Recipe] | None = None) -> Expression:
    """What people write: `happy`, `happy:0.7`, `happy:0.6+surprised:0.4`, `smile@mouth+sad:0.8@brows,eyes`.

    A name may also be a shape: `mouthSmileLeft:0.5`; `own.laugh` is the person's own, from `bank`. Where that is None
    nobody knows yet whose face it will be: own expressions are taken as written, and show nothing. Raises UserError
    with the part at fault.
    """
    out = Expression()
    for part in text.split("+"):
        found = re.fullmatch(r"\s*([A-Za-z][\w. -]*?)\s*(?::\s*([^@\s]+)\s*)?(?:@\s*([\w ,]+))?\s*", part)
        if found is None:
            raise _not_written(text, part)
        name, number, regions = found.groups()
        try:
            intensity = 1.0 if number is None else float(number)
        except ValueError:
            raise _not_written(text, part) from None
        if name.startswith(OWN):
            one = _own(name.removeprefix(OWN), intensity, bank)
        else:
            one = single_shape(name, intensity) if name in _every_shape() else named(name, intensity, bank)
        out = out.plus(one.only(regions.split(",")) if regions else one)
    return out


def _own(name: str, intensity: float, bank: Mapping[str, Recipe] | None) -> Expression:
    if bank is None:
        return named("neutral", intensity)
    if name.lower() not in (own.lower() for own in bank):
        raise UserError(
            f"expression {OWN}{name}",
            expected=f"one of this person's own: {', '.join(bank)}"
            if bank
            else "a person with expressions of their own",
            got=f"{OWN}{name}",
            remedy="Learn them from a take: `gtalk train CLIP -o AVATAR --expressions TAKE`.",
        )
    return named(name, intensity, bank)


def single_shape(name: str, weight: float) -> Expression:
    """One shape; a name without its side (`mouthSmile`) is both sides. Raises UserError."""
    if name not in _every_shape():
        raise _unknown("shape", name, _every_shape())
    if not 0.0 <= weight <= 1.0:
        raise UserError(
            f"weight of {name}", expected="a number from 0 to 1", got=f"{weight:g}", remedy=f"Write `{name}:0.7`."
        )
    return Expression(dict.fromkeys(_sides(name), weight))


def region_of(name: str) -> str:
    """Region of a shape: one of REGIONS."""
    found = re.match("[a-z]+", name)
    return _OF_REGION.get(found.group(), "mouth") if found else "mouth"


def check_regions(regions: Iterable[str]) -> set[str]:
    """The regions asked for. Raises UserError for others."""
    asked = {region.strip().lower() for region in regions}
    for region in sorted(asked - set(REGIONS)):
        raise _unknown("region", region, REGIONS)
    return asked


def read_recipes(path: Path = RECIPES_PATH) -> dict[str, Recipe]:
    """Recipes of a YAML file. Raises UserError when it is not one."""

    def listed(content: Any) -> dict[str, Recipe]:
        return {str(name): _recipe(str(name), entry) for name, entry in content.items()}

    expected = "names with `shapes: {mouthSmile: 0.8, jawOpen: [0.2, 2]}` and biases"
    return read_entries(path, listed, f"expressions {path}", expected, "gtalk/rig/expressions.yaml")


def _recipe(name: str, entry: Mapping[str, Any]) -> Recipe:
    unknown = set(entry) - {"says", "shapes", "aliases", "emotion", *_HEAD, *_GAINS}
    if unknown:
        raise ValueError(f"{name}: {sorted(unknown)}")
    shapes: dict[str, tuple[float, float]] = {}
    for shape, numbers in (entry.get("shapes") or {}).items():
        weight, power = (float(x) for x in (numbers if isinstance(numbers, list) else (numbers, 1.0)))
        if shape not in _every_shape() or not 0.0 < weight <= MOST_WEIGHT or not 0.2 <= power <= 5.0:
            raise ValueError(f"{name}, {shape}: {numbers}")
        shapes |= dict.fromkeys(_sides(shape), (weight, power))
    head = {n: tuple(float(x) for x in entry[n]) for n in _HEAD if n in entry}
    gains = {n: float(entry[n]) for n in _GAINS if n in entry}
    if not all(0.1 <= gain <= 3.0 for gain in gains.values()):
        raise ValueError(f"{name}: gains {gains}")
    aliases = tuple(str(alias).lower() for alias in entry.get("aliases", ()))
    full = Expression(**head, **gains)  # type: ignore[arg-type]
    return Recipe(name, str(entry["says"]), shapes, full, aliases, bool(entry.get("emotion", False)))


def _sides(name: str) -> tuple[str, ...]:
    if name in WHOLE:
        return WHOLE[name]
    return (name,) if name in SHAPES else (f"{name}Left", f"{name}Right")


@lru_cache(maxsize=1)
def _every_shape() -> tuple[str, ...]:
    pairs = {n.removesuffix("Left") for n in SHAPES if n.endswith("Left") and n.replace("Left", "Right") in SHAPES}
    return (*SHAPES, *sorted(pairs - {"jaw", "mouth"} - set(SHAPES)))


def _unknown(what: str, name: str, known: Iterable[str]) -> UserError:
    known = list(known)
    lower = {k.lower(): k for k in known}
    near = [lower[k] for k in difflib.get_close_matches(name.strip().lower(), list(lower), n=3, cutoff=0.5)]
    listed = sorted(known) if len(known) <= 12 else list(names())
    return UserError(
        f"{what} {name!r}",
        expected=f"a known {what}: {', '.join(listed)}",
        got=repr(name),
        remedy=f"Did you mean {' or '.join(near)}?" if near else "Choose one of these.",
    )


def _not_written(text: str, part: str) -> UserError:
    return UserError(
        f"expression {text!r}",
        expected="NAME, NAME:INTENSITY, several joined by `+`, each with @REGIONS if wanted",
        got=repr(part),
        remedy="Write for example `happy:0.7` or `smile:0.5@mouth+sad:0.8@brows,eyes`.",
    )
