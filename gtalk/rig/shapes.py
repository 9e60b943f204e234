"""The shapes of the rig: their names, and what each moves on a person's face at weight 1.

Names are ARKit's 52 in ARKit's order (Apple, ARFaceAnchor.BlendShapeLocation, as Live Link Face writes them),
left and right being the person's own: the image's right and left. Behind them come what ARKit leaves whole or
out and single muscles move: the inner brow and the puffed cheek of each side, and the raised cheek (FACS' AU6).
So `browInnerUp` is `browInnerUpLeft` + `browInnerUpRight`, and `cheekPuff` likewise: `INDEPENDENT` leaves the
whole ones out, and `tongueOut`, which the mesh cannot show.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from gtalk.rig.sculpted.surface import Surface, transferred
from gtalk.rig.sculpted.table import Sculpt, sculpts
from gtalk.shapes import Float
from gtalk.topology import INNER_LIPS_RING, IRIS_CENTRES, LEFT_EYE_RING, MIRROR, N_FACE, N_POINTS, RIGHT_EYE_RING
from gtalk.types import OUTER_EYE_DISTANCE_M

_EYE = ("Blink", "LookDown", "LookIn", "LookOut", "LookUp", "Squint", "Wide")
ARKIT = (
    *(f"eye{name}{side}" for side in ("Left", "Right") for name in _EYE),
    *("jawForward", "jawRight", "jawLeft", "jawOpen"),
    *("mouthClose", "mouthFunnel", "mouthPucker", "mouthRight", "mouthLeft"),
    *(f"mouth{name}{side}" for name in ("Smile", "Frown", "Dimple", "Stretch") for side in ("Left", "Right")),
    *("mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"),
    *(f"mouth{name}{side}" for name in ("Press", "LowerDown", "UpperUp") for side in ("Left", "Right")),
    *("browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff"),
    *("cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut"),
)
"""ARKit's 52, in the order of Live Link Face."""
SPLIT = (
    *("browInnerUpLeft", "browInnerUpRight", "cheekPuffLeft", "cheekPuffRight"),
    *("cheekRaiserLeft", "cheekRaiserRight"),
)
"""What ARKit joins or lacks."""
SHAPES: tuple[str, ...] = (*ARKIT, *SPLIT)
"""The E = 58 columns of every array of shapes and weights."""
WHOLE = {"browInnerUp": ("browInnerUpLeft", "browInnerUpRight"), "cheekPuff": ("cheekPuffLeft", "cheekPuffRight")}
INDEPENDENT = tuple(name for name in SHAPES if name not in {*WHOLE, "tongueOut"})
"""The 55 that no other shape makes up: what a fit may solve for."""
UNREADABLE = frozenset(
    name
    for name in SHAPES
    if name.startswith(("cheek", "noseSneer")) or name in {"jawForward", "mouthClose", "tongueOut"}
)
"""Face Landmarker gives no score for these (measured 0, or nearly, on faces that do them)."""
EYEBALL_RADIUS = 0.1278
"""From the iris to the eye's centre, outer-eye distances (11.5 mm of 90 mm)."""

LIDS = np.concatenate(
    [np.setdiff1d(RIGHT_EYE_RING, [362, 382, 398]), [286, 258, 257, 259, 260, 467], [256, 252, 253, 254, 339, 255]]
)
"""Skin that lies on the eyeball on the image's right: rims, fold above, row below; the inner corner is held."""
_RIM = 0.12  # how far behind a rim its corrections reach, outer-eye distances

_RINGS = {"lips": INNER_LIPS_RING, "image_left": LEFT_EYE_RING, "image_right": RIGHT_EYE_RING}


def index(name: str) -> int:
    """Column of a shape. Raises ValueError for other names."""
    return SHAPES.index(name)


def facing_pairs(opening: str) -> np.ndarray:
    """[P,2] (upper, lower) points of an opening's rim, corners apart: `lips`, `image_left` or `image_right` eye."""
    ring = _RINGS[opening]
    half = len(ring) // 2
    return np.stack([ring[:half:-1], ring[1:half]], axis=1)


@lru_cache(maxsize=1)
def neutral() -> np.ndarray:
    """[478,3] the face that the shapes are sculpted on, head space, metres. Read-only."""
    points = load_file(Path(__file__).with_name("sculpted") / "neutral.safetensors")["points"].astype(np.float64)
    points.setflags(write=False)
    return points


def displacements(mesh: Float[np.ndarray, "478 3"]) -> Float[np.ndarray, "E 478 3"]:
    """What each of SHAPES moves on a neutral face at weight 1, metres in head space.

    Args:
        mesh: the person with closed lips and open eyes, head space, metres.
    """
    surface = Surface(np.asarray(mesh[:N_FACE], np.float64))
    out = np.zeros((len(SHAPES), N_POINTS, 3))
    names = [name for name in INDEPENDENT if name in sculpts()]
    fields = np.stack([_sculpted()[name] for name in names])
    out[[index(name) for name in names], :N_FACE] = transferred(neutral()[:N_FACE], fields, surface)
    for name in names:
        out[index(name)] += _turned_irises(np.asarray(mesh, np.float64), sculpts()[name])
    settle(out, mesh)
    return out


def settle(shapes: Float[np.ndarray, "E 478 3"], mesh: Float[np.ndarray, "478 3"]) -> None:
    """Make shapes of a face agree with each other and with its lips and lids, in place."""
    surface = Surface(np.asarray(mesh[:N_FACE], np.float64))
    _close_lids(shapes, surface)
    _part_lips(shapes, surface)
    _close_lips(shapes, surface)
    for whole, halves in WHOLE.items():
        shapes[index(whole)] = shapes[[index(half) for half in halves]].sum(0)


@lru_cache(maxsize=1)
def _sculpted() -> dict[str, np.ndarray]:
    """[468,3] metres on the neutral face."""
    surface = Surface(neutral()[:N_FACE] / OUTER_EYE_DISTANCE_M)
    return {name: OUTER_EYE_DISTANCE_M * surface.spread(*_handles(shape)) for name, shape in sculpts().items()}


def _handles(shape: Sculpt) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Handles, values and reach of a shape; lids that follow the eyeball are handles too."""
    if shape.follow == 0.0:
        return shape.handles, shape.values, shape.reach
    mesh = neutral() / OUTER_EYE_DISTANCE_M
    points, values = [], []
    for first, lids, turn in zip(IRIS_CENTRES, (MIRROR[LIDS], LIDS), np.deg2rad(shape.iris_deg), strict=True):
        if np.any(turn):
            points.append(lids)
            values.append(shape.follow * _turn(mesh[lids], eye_centre(mesh, first), turn))
    handles, values = np.concatenate([shape.handles, *points]), np.concatenate([shape.values, *values])
    reach = np.concatenate([shape.reach, np.full(len(handles) - len(shape.reach), shape.follow_reach)])
    return handles, values, reach


def eye_centre(mesh: Float[np.ndarray, "478 3"], iris: int | np.integer) -> Float[np.ndarray, "3"]:
    """Middle of the eyeball whose iris has its centre at a point of the mesh, in the mesh's unit."""
    unit = float(np.linalg.norm(mesh[RIGHT_EYE_RING[8]] - mesh[LEFT_EYE_RING[0]]))
    return mesh[iris] - [0.0, 0.0, EYEBALL_RADIUS * unit]


def _turn(points: np.ndarray, centre: np.ndarray, yaw_pitch: np.ndarray) -> np.ndarray:
    """Displacement of points that turn about a centre: radians to the image's right and up."""
    (sy, sp), (cy, cp) = np.sin(yaw_pitch), np.cos(yaw_pitch)
    about_y = np.array([[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]])
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cp, sp], [0.0, -sp, cp]])
    return (points - centre) @ (about_y @ about_x).T + centre - points


def _turned_irises(mesh: np.ndarray, shape: Sculpt) -> np.ndarray:
    """[478,3] the irises turn about the centres of the eyes."""
    out = np.zeros_like(mesh)
    for first, turn in zip(IRIS_CENTRES, np.deg2rad(shape.iris_deg), strict=True):
        out[first : first + 5] = _turn(mesh[first : first + 5], eye_centre(mesh, first), turn)
    return out


def _close_lids(shapes: np.ndarray, surface: Surface) -> None:
    """A blink at 1 brings the lids of this person together, however large the eye: the upper one makes up the rest."""
    for opening, name in (("image_right", "eyeBlinkLeft"), ("image_left", "eyeBlinkRight")):
        blink = shapes[index(name), :N_FACE]
        upper, lower = facing_pairs(opening).T
        gap = (surface.points + blink)[lower] - (surface.points + blink)[upper]
        _move_rims(blink, surface, upper, gap * [0.0, 1.0, 0.0], lower)


def _close_lips(shapes: np.ndarray, surface: Surface) -> None:
    """`mouthClose` at 1 takes back what `jawOpen` at 1 opens."""
    close, opened = shapes[index("mouthClose"), :N_FACE], shapes[index("jawOpen"), :N_FACE]
    upper, lower = facing_pairs("lips").T
    both = close + opened
    _move_rims(close, surface, lower, both[upper] - both[lower], upper)


def _part_lips(shapes: np.ndarray, surface: Surface) -> None:
    """A lip that would pass through the other one pushes it along: both give way by half."""
    upper, lower = facing_pairs("lips").T
    rest = np.maximum(surface.points[upper, 1] - surface.points[lower, 1], 0.0)
    for name, field in zip(SHAPES, shapes[:, :N_FACE], strict=True):
        crossed = np.maximum(field[lower, 1] - field[upper, 1] - rest, 0.0)
        if name != "mouthClose" and crossed.max() > 0:
            push = 0.5 * crossed[:, None] * np.array([0.0, 1.0, 0.0])
            rims, values = np.concatenate([upper, lower]), np.concatenate([push, -push])
            _move_rims(field, surface, rims, values, np.empty(0, np.int64))


def _move_rims(field: np.ndarray, surface: Surface, rim: np.ndarray, by: np.ndarray, still: np.ndarray) -> None:
    """Move the points of a rim, and a little of what lies behind them, while others stay."""
    unit = float(np.linalg.norm(surface.points[RIGHT_EYE_RING[8]] - surface.points[LEFT_EYE_RING[0]]))
    handles = np.concatenate([rim, still])
    values = np.concatenate([by, np.zeros((len(still), 3))])
    field += surface.spread(handles, values, np.where(np.arange(len(handles)) < len(rim), _RIM * unit, 0.0), taut=True)
