"""A wanted displacement as person codes and rig weights: what the clip has shown, and what only geometry can do.

    min over c, w of |d - P c - B w|^2 + a |c - c0|^2 + b (c outside the clip's range)^2
                     + l |w|^2 + m (w outside 0..most)^2

P are the directions of the person's motion basis, B the rig's shapes at the 68 landmarks. Inside the clip's range
a code costs next to nothing, so the learned appearance is used first; a weight always costs a little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtalk.basis import JAW, MOUTH_GROUP, NOSE, UPPER_GROUP, MotionBasis
from gtalk.rig.shapes import INDEPENDENT, SHAPES, index
from gtalk.shapes import Float

_ROUNDS = 6
_JAW_WEIGHT = 0.35


@dataclass(frozen=True)
class SplitConfig:
    """How dear each kind of movement is, in squared millimetres of one landmark."""

    code: float = 0.005
    """Of a code's distance from the given one, per squared standard deviation: keeps it from drifting."""
    outside: float = 1000.0
    """Of a code outside the clip's range, per squared standard deviation."""
    weight: float = 0.02
    """Of a rig weight, squared, as a share of what the shape moves: what learned codes can do is left to them."""
    beyond: float = 3000.0
    """Of a rig weight below 0 or above its limit."""


@dataclass(frozen=True)
class Splitter:
    """The least squares of one person, prepared once; splits any number of frames."""

    basis: MotionBasis
    shapes68: Float[np.ndarray, "E 68 3"]
    """The rig at the 68 landmarks, metres."""
    most: Float[np.ndarray, " E"]
    """Limit of each weight."""
    config: SplitConfig = SplitConfig()

    def split(
        self,
        code: Float[np.ndarray, "T K"],
        weights: Float[np.ndarray, "T E"],
    ) -> tuple[Float[np.ndarray, "T K"], Float[np.ndarray, "T E"]]:
        """Codes and weights that together move the face as `code` and `weights` would.

        Args:
            code: what speech (or tracking) asks for, usually inside the clip's range.
            weights: what the expression asks for, in the order of SHAPES.

        Returns:
            the codes with what the clip has shown of the expression, and the weights of what is left. With zero
            weights both come back as they are.
        """
        weights = np.asarray(weights, np.float64)
        code_out, weights_out = np.array(code, np.float64), weights.copy()
        asked = np.flatnonzero(np.abs(weights).max(1) > 1e-6)
        if not len(asked):
            return code_out, weights_out
        active = [c for c in _COLUMNS if np.abs(weights[asked][:, c]).max() > 1e-6]
        whole = [c for c in range(len(SHAPES)) if c not in _COLUMNS]
        moved = np.tensordot(weights[asked][:, active], self.shapes68[active], 1)  # what `whole` moves stays theirs
        c, w = self._solve(code_out[asked], moved, weights[asked][:, active], np.array(active))
        code_out[asked] = c
        kept = weights_out[asked]
        kept[:, active] = w
        kept[:, whole] = weights[asked][:, whole]
        weights_out[asked] = kept
        return code_out, weights_out

    def _solve(
        self, code: np.ndarray, moved: np.ndarray, asked: np.ndarray, active: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Change of codes and remaining weights for displacements [T,68,3] on top of `code`."""
        cfg, motion = self.config, self._directions()
        count, columns = len(motion), len(active)
        design = np.concatenate([motion, self.shapes68[active]]) * 1e3 * _landmark_roots()[:, None]  # mm
        flat = design.reshape(count + columns, -1)
        target = (moved * 1e3 * _landmark_roots()[:, None]).reshape(len(moved), -1)
        gram, right = flat @ flat.T, target @ flat.T
        gram[np.diag_indices(count)] += cfg.code
        last = np.arange(count, count + columns)
        gram[last, last] *= 1.0 + cfg.weight
        gram[last, last] += 1e-9
        base = np.concatenate([code[:, :count], np.zeros((len(code), columns))], axis=1)
        low = np.concatenate([np.minimum(self.basis.low[:count], 0), np.zeros(columns)])
        high = np.concatenate([np.maximum(self.basis.high[:count], 0), self.most[active]])
        low, high = np.minimum(low, base), np.maximum(high, base)  # where speech itself is outside, it may stay
        dear = np.concatenate([np.full(count, cfg.outside), np.full(columns, cfg.beyond)])
        change = np.zeros_like(base)
        for round_ in range(_ROUNDS):
            at = base + change
            over, under = (at > high), (at < low)
            if round_ == 0:
                over[:], under[:] = False, False
            active_penalty = np.where(over | under, dear, 0.0)
            bound = np.where(over, high, low) - base
            system = gram[None] + active_penalty[:, :, None] * np.eye(count + columns)
            new = np.linalg.solve(system, (right + active_penalty * bound)[..., None])[..., 0]
            if np.abs(new - change).max() < 1e-6:
                break
            change = new
        out = code.copy()
        out[:, :count] += change[:, :count]
        return out, np.clip(change[:, count:], 0.0, None)

    def _directions(self) -> np.ndarray:
        """[Km + Ku,68,3] what one unit of each code moves, metres."""
        mouth, upper = self.basis.mouth, self.basis.upper
        out = np.zeros((len(mouth) + len(upper), 68, 3))
        out[: len(mouth), MOUTH_GROUP] = mouth
        out[len(mouth) :, UPPER_GROUP] = upper
        return out


# What moves the cheeks and the sides of the nose shows little at the 68 landmarks: its weights are left as asked.
_COLUMNS = [index(name) for name in INDEPENDENT if not name.startswith(("cheek", "nose"))]


def _landmark_roots() -> np.ndarray:
    """[68] square roots of weights: the jaw line is tracked less exactly, and no code moves the nose."""
    out = np.ones(68)
    out[JAW] = np.sqrt(_JAW_WEIGHT)
    out[NOSE] = 0.0
    return out
