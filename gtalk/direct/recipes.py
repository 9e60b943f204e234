"""What the numbers of a frame come to: weights of shapes, lean of head and gaze, gains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from gtalk.direct.composer import DEPTH
from gtalk.direct.score import Event
from gtalk.direct.tracks import channels_of, shape_weights
from gtalk.rig.expression import OWN, REGIONS, Recipe, parse, recipes, region_of
from gtalk.rig.shapes import SHAPES, index
from gtalk.shapes import Float

_MOST_SWAY = 1.5  # whatever several expressions say together


@dataclass(frozen=True)
class Asked:
    """What one frame is to do beside lids and what holds the gaze."""

    weights: Float[np.ndarray, " E"]
    """In the order of SHAPES, not yet limited."""
    head_deg: Float[np.ndarray, " 3"]
    """Yaw to the image's right, pitch up, roll clockwise in the image."""
    nod_deg: tuple[float, float]
    """How far down a nod is now, and at its deepest."""
    shake_deg: tuple[float, float]
    """How far to the image's right a shake is now, and at its widest."""
    lean_m: float
    gaze_deg: Float[np.ndarray, " 2"]
    """Yaw to the image's right, pitch up."""
    jaw_gain: float
    lip_gain: float
    sway_gain: float

    @staticmethod
    def of(moment: Mapping[str, float], tables: Tables) -> Asked:
        """From the composer's numbers by channel."""
        weights, taken = np.zeros(len(SHAPES)), np.zeros(len(SHAPES))
        for region in REGIONS:
            taken[_mask(region)] = moment.get(f"region.{region}", 0.0)
        head, gaze, gains = np.zeros(3), np.zeros(2), np.ones(3)
        for channel, x in moment.items():
            family, _, name = channel.partition(".")
            if family == "emotion":
                table = tables.of(name)
                weights += table.at(x) * (1.0 - taken)
                head, gaze, gains = head + x * table.head_deg, gaze + x * table.gaze_deg, gains * table.gains**x
            elif family == "region" and "|" in name:
                region, _, name = name.partition("|")
                weights += np.where(_mask(region), tables.of(name).at(x), 0.0)
            elif family == "shape":
                for shape, share in shape_weights(channel).items():
                    weights[index(shape)] += share * x
        get = moment.get
        head += np.array([get("head.turn", 0.0), get("head.raise", 0.0), get("head.tilt", 0.0)])
        gaze += np.array([get("gaze.yaw", 0.0), get("gaze.pitch", 0.0)])
        sway = min(_MOST_SWAY, float(gains[2])) * (1.0 - get("head.still", 0.0))
        jaw, lips = gains[0] * get("articulation.jaw", 1.0), gains[1] * get("articulation.lips", 1.0)
        nod, shake = ((get(track, 0.0), get(f"{track}{DEPTH}", 0.0)) for track in ("head.nod", "head.shake"))
        return Asked(
            weights, head, nod, shake, 0.01 * get("head.lean", 0.0), gaze, float(jaw), float(lips), float(sway)
        )

    def head_offset(self) -> Float[np.ndarray, " 6"]:
        """As a rotation vector of the head (radians) and a shift (metres, world), nods and shakes apart."""
        yaw, pitch, roll = np.deg2rad(self.head_deg)
        return np.array([-pitch, yaw, -roll, 0.0, 0.0, self.lean_m])


@dataclass(frozen=True)
class Table:
    """A named expression as arrays."""

    full: Float[np.ndarray, " E"]
    power: Float[np.ndarray, " E"]
    head_deg: Float[np.ndarray, " 3"]
    gaze_deg: Float[np.ndarray, " 2"]
    gains: Float[np.ndarray, " 3"]
    """Of jaw, lips and sway at full intensity."""

    def at(self, intensity: float) -> Float[np.ndarray, " E"]:
        """Weights at an intensity of 0 to 1."""
        return self.full * max(intensity, 0.0) ** self.power


class Tables:
    """Named expressions as arrays: the package's, and one person's own as `own.laugh`."""

    def __init__(self, bank: Mapping[str, Recipe] | None = None) -> None:
        self._own = {f"{OWN}{name.lower()}": recipe for name, recipe in (bank or {}).items()}
        self._made: dict[str, Table] = {}

    def of(self, name: str) -> Table:
        """By name; an own expression that this person lacks shows nothing."""
        if name not in self._made:
            recipe = self._own.get(name.lower()) if name.startswith(OWN) else recipes()[name]
            self._made[name] = _arrays(recipe or recipes()["neutral"])
        return self._made[name]


def check_own(events: Iterable[Event], bank: Mapping[str, Recipe]) -> None:
    """Raises UserError for own expressions, `emotion.own.laugh`, that a person lacks, naming those that there are."""
    asked = (channels_of(event.track, event.value or 0.0) for event in events)
    for channel in sorted({channel for channels in asked for channel, _ in channels}):
        name = channel.rpartition("|")[2].removeprefix("emotion.")
        if name.startswith(OWN):
            parse(name, bank)


def _arrays(recipe: Recipe) -> Table:
    full, power = np.zeros(len(SHAPES)), np.ones(len(SHAPES))
    for name, (weight, exponent) in recipe.shapes.items():
        full[index(name)], power[index(name)] = weight, exponent
    own = recipe.full
    gains = np.array([own.jaw_gain, own.lip_gain, own.sway_gain])
    return Table(full, power, np.array(own.head_deg), np.array(own.gaze_deg), gains)


@lru_cache(maxsize=8)
def _mask(region: str) -> np.ndarray:
    return np.array([region_of(name) == region for name in SHAPES])
