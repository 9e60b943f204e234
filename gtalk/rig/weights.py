"""What a face does, as weights of the rig's shapes: least squares for what landmarks tell, channels for the rest."""

from __future__ import annotations

import numpy as np

from gtalk.basis import BROWS, MOUTH_GROUP
from gtalk.rig.shapes import ARKIT, WHOLE, index
from gtalk.shapes import Float
from gtalk.types import OUTER_EYE_DISTANCE_M, Motion

MOUTH_SHAPES = tuple(name for name in ARKIT if name.startswith(("mouth", "jaw")))
BROW_SHAPES = tuple(name for name in ARKIT if name.startswith("brow"))
GAZE_UNIT_RAD = 0.6
"""Turn of an eye at which its shape eyeLook... is 1."""
_BROW_AXES = np.array([0.2, 1.0, 0.2])  # how high brows are is tracked best, and is what a brow says
_RIDGE = 1e-4  # of the least squares, in squared outer-eye distances: shapes that say the same share the work
_ROUNDS = 200


def weights_of_motion(
    motion: Motion, rest: Float[np.ndarray, "68 3"], shapes68: Float[np.ndarray, "E 68 3"]
) -> Float[np.ndarray, "T 52"]:
    """Weights 0 to 1 of ARKit's shapes in their order, for every frame.

    Args:
        rest: the person's landmarks with closed lips, metres.
        shapes68: the rig at the 68 landmarks, metres.
    """
    found = dict.fromkeys(ARKIT, np.zeros(len(motion)))
    for names, points, axes in ((MOUTH_SHAPES, MOUTH_GROUP, np.ones(3)), (BROW_SHAPES, BROWS, _BROW_AXES)):
        unit = axes / OUTER_EYE_DISTANCE_M
        design = shapes68[[index(name) for name in names]][:, points] * unit
        moved = (motion.landmarks - rest)[:, points] * unit
        weights = bounded_least_squares(design.reshape(len(names), -1), moved.reshape(len(motion), -1))
        found |= dict(zip(names, weights.T, strict=True))
    found |= _eyes(motion)
    expression = motion.channels.get("expression")
    if expression is not None:
        found = {name: value + _as_arkit(expression, name) for name, value in found.items()}
    return np.clip(np.stack([found[name] for name in ARKIT], axis=1), 0.0, 1.0)


def bounded_least_squares(
    design: Float[np.ndarray, "S P"], moved: Float[np.ndarray, "T P"], ridge: float = _RIDGE
) -> Float[np.ndarray, "T S"]:
    """Weights 0 to 1 of the rows of `design` that make up `moved`: accelerated projected gradient (Nesterov 1983)."""
    gram = design @ design.T + ridge * np.eye(len(design))
    target = moved @ design.T
    rate = 1.0 / np.linalg.eigvalsh(gram)[-1]
    weights = ahead = np.zeros_like(target)
    momentum = 1.0
    for _ in range(_ROUNDS):
        new = np.clip(ahead - rate * (ahead @ gram - target), 0.0, 1.0)
        after = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
        ahead, weights, momentum = new + (momentum - 1.0) / after * (new - weights), new, after
    return weights


def _as_arkit(expression: np.ndarray, name: str) -> np.ndarray:
    """[T] weight of an ARKit shape in a channel `expression`; the split ones count where ARKit has no other name."""
    out = expression[:, index(name)].astype(np.float64)
    if name in WHOLE:
        out = out + np.mean([expression[:, index(half)] for half in WHOLE[name]], axis=0)
    if name.startswith("cheekSquint"):
        out = out + expression[:, index(name.replace("Squint", "Raiser"))]
    return out


def _eyes(motion: Motion) -> dict[str, np.ndarray]:
    out: dict[str, np.ndarray] = {}
    yaw, pitch = (motion.gaze / GAZE_UNIT_RAD).T
    for column, side, outwards in ((1, "Left", 1.0), (0, "Right", -1.0)):
        openness = motion.eyes[:, column]
        out[f"eyeBlink{side}"], out[f"eyeWide{side}"] = 1.0 - openness, openness - 1.0
        out[f"eyeLookOut{side}"], out[f"eyeLookIn{side}"] = outwards * yaw, -outwards * yaw
        out[f"eyeLookUp{side}"], out[f"eyeLookDown{side}"] = pitch, -pitch
    return {name: np.clip(value, 0.0, 1.0) for name, value in out.items()}
