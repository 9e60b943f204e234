"""What a face in a picture expresses, out of Face Landmarker's 52 scores: an Expression in the rig's shapes.

    scores - those of a quiet face ─▶ change ─▶ weights of the shapes of those names
                                       └─▶ the mixture of named expressions most like it ─▶ shapes that no score tells

The reader is blind to some shapes (UNREADABLE: raised cheeks, a wrinkled nose): the named expressions know which of
them go along with what it sees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtalk.rig.expression import Expression, named, recipes
from gtalk.rig.shapes import SHAPES, UNREADABLE
from gtalk.rig.weights import bounded_least_squares
from gtalk.shapes import Float

SCORES = (
    "_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff",
    "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight",
    "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight",
    "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel",
    "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker",
    "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft",
    "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "noseSneerLeft", "noseSneerRight",
)  # fmt: skip
"""Face Landmarker's scores in its order."""
LEAST = 0.15
"""Changes whose largest score is less are a quiet face."""
GAIN = 1.3
"""The scores of a real smile say less than its displacement (measured on acted clips)."""
_SPOKEN = ("eyeLook", "eyeBlink", "jaw", "mouthClose", "mouthFunnel", "mouthPucker", "mouthRoll", "mouthLeft",
           "mouthRight")  # fmt: skip
"""What gaze, blinks and words do: no expression."""
_RIDGE, _LEAST_WEIGHT = 0.02, 0.05
_USUAL = {
    "browInnerUp": 0.4, "browOuterUp": 0.36, "browDown": 0.03, "eyeSquint": 0.25, "eyeWide": 0.03, "mouthPucker": 0.18,
    "mouthUpperUp": 0.08, "mouthLowerDown": 0.06, "mouthPress": 0.05, "mouthSmile": 0.03, "mouthShrug": 0.04,
    "mouthStretch": 0.02, "mouthFrown": 0.01, "jawOpen": 0.14,
}  # fmt: skip
QUIET = np.array([next((v for n, v in _USUAL.items() if name.startswith(n)), 0.0) for name in SCORES])
"""Scores of people who express nothing: means of four who speak, rounded."""
_PEOPLE_DIFFER = np.array([0.2 if name.startswith(("browInner", "browOuter")) else 0.1 for name in SCORES])
_FULL = 0.9  # length of the change of a strong display, over readable scores
_EXPRESSES = np.array([not name.startswith(("_", *_SPOKEN)) for name in SCORES], float)


@dataclass(frozen=True)
class Reading:
    """What was read."""

    expression: Expression
    """Weights of shapes, none above 1."""
    parts: tuple[tuple[str, float], ...]
    """Named expressions that it is most like and their intensities, the strongest first."""
    explained: float
    """How much of the change they make up, 0 to 1."""

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is expressed."""
        return not self.parts


def read_expression(scores: Float[np.ndarray, "T 52"], intensity: float = 1.0) -> Reading:
    """The expression of a face, out of the scores of one picture of it or of several.

    Args:
        scores: of each picture.
        intensity: factor on what is found.
    """
    change = change_of(scores)
    if change.max(initial=0.0) < LEAST:
        return Reading(Expression(), (), 0.0)
    names, table = _named_changes()
    weights = bounded_least_squares(table, change[None], _RIDGE)[0]
    kept = [i for i in np.argsort(-weights) if weights[i] >= 0.1 * weights.max()][:3]
    again = bounded_least_squares(table[kept], change[None], _RIDGE)[0]
    parts = sorted(zip((names[i] for i in kept), again.tolist(), strict=True), key=lambda part: -part[1])
    parts = [(name, round(min(1.0, intensity * weight), 2)) for name, weight in parts if weight >= 0.05]
    unseen = Expression()
    for name, weight in parts:
        unseen = unseen.plus(named(name, weight))
    left = change - again @ table[kept]
    explained = 1.0 - float(np.linalg.norm(left) / np.linalg.norm(change))
    weights = {name: weight for name, weight in unseen.weights.items() if name in UNREADABLE}
    weights |= {n: intensity * GAIN * float(v) for n, v in zip(SCORES, change, strict=True) if n in SHAPES}
    bounded = {name: round(min(1.0, weight), 3) for name, weight in weights.items() if weight >= _LEAST_WEIGHT}
    return Reading(Expression(bounded), tuple(parts), max(0.0, explained))


def change_of(scores: Float[np.ndarray, "T 52"]) -> Float[np.ndarray, "52"]:
    """How a face differs from a quiet one: of several pictures where it differs most.

    A face that is quiet somewhere in a clip is compared with itself there, score by score; one that never is, or a
    single picture, with what is usual of people.
    """
    scores = np.asarray(scores, np.float64)
    lowest = np.quantile(scores, 0.1, axis=0)
    itself = (len(scores) > 4) & (lowest <= QUIET + _PEOPLE_DIFFER)
    quiet = np.where(itself, lowest, QUIET)
    above = np.clip(scores - quiet, 0.0, 1.0) * _EXPRESSES
    strength = np.linalg.norm(above, axis=1)
    strongest = strength >= np.quantile(strength, 0.75)
    return np.median(above[strongest], axis=0)


def _named_changes() -> tuple[list[str], Float[np.ndarray, "N 52"]]:
    """(names of the basic emotions, how the scores of a face change that shows one of them in full)."""
    names = [name for name, recipe in recipes().items() if recipe.emotion and name != "neutral"]
    rows = np.array([readable(named(name)) * _EXPRESSES for name in names])
    return names, _FULL * rows / np.linalg.norm(rows, axis=1, keepdims=True)


def readable(expression: Expression) -> Float[np.ndarray, "52"]:
    """An expression's weights as Face Landmarker would name them, without what it cannot read."""
    weights = dict(zip(SHAPES, expression.vector(), strict=True))
    for side in ("Left", "Right"):
        weights["browInnerUp"] = weights["browInnerUp"] + 0.5 * weights[f"browInnerUp{side}"]
    return np.array([0.0 if n in UNREADABLE or n not in weights else weights[n] for n in SCORES])
