"""Limits of a rig: no shape far beyond what it was made for, lips and lids that never pass through each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtalk.rig.shapes import facing_pairs, index
from gtalk.shapes import Float

OPENINGS = ("lips", "image_left", "image_right")
_BEYOND = 0.25  # of the limit: how far a weight can exceed it, however large it is asked for
_SWEEPS, _EVEN_SWEEPS = 24, 8  # the last ones make sure
_TOUCHING_M = 5e-5


def soft_limit(weights: Float[np.ndarray, "T E"], most: Float[np.ndarray, " E"]) -> Float[np.ndarray, "T E"]:
    """Weights of 0 to `most` unchanged, larger ones bent to at most 1.25 times that, negative ones 0."""
    over = np.maximum(weights - most, 0.0)
    room = np.maximum(_BEYOND * most, 1e-9)
    return np.clip(weights, 0.0, most) + room * np.tanh(over / room)


@dataclass(frozen=True)
class Gaps:
    """Gaps between facing points of lips and lids as linear functions of the weights, metres."""

    at_rest: Float[np.ndarray, " P"]
    per_weight: Float[np.ndarray, "P E"]
    opening: Float[np.ndarray, " P"]
    """What one metre of opening in the middle of the lips opens at each pair: 0 at lids."""

    @staticmethod
    def of(neutral: Float[np.ndarray, "478 3"], shapes: Float[np.ndarray, "E 478 3"]) -> Gaps:
        """Gaps of a person's neutral face and shapes."""
        pairs = [facing_pairs(name) for name in OPENINGS]
        upper, lower = np.concatenate(pairs).T
        rest = np.maximum(neutral[upper, 1] - neutral[lower, 1], 0.0)
        change = (shapes[:, upper, 1] - shapes[:, lower, 1]).T
        jaw = np.maximum(change[: len(pairs[0]), index("jawOpen")], 0.0)
        opening = np.zeros(len(rest))
        opening[: len(jaw)] = jaw / max(jaw.max(), 1e-9)
        return Gaps(rest, change, opening)

    def of_weights(
        self, weights: Float[np.ndarray, "T E"], opening_m: Float[np.ndarray, " T"] | None = None
    ) -> Float[np.ndarray, "T P"]:
        """Gaps (upper minus lower, metres, negative where they cross) at some weights.

        Args:
            opening_m: how far speech opens the middle of the lips beyond the neutral face.
        """
        extra = 0.0 if opening_m is None else np.maximum(opening_m, 0.0)[:, None] * self.opening
        return self.at_rest + extra + weights @ self.per_weight.T

    def uncrossed(
        self, weights: Float[np.ndarray, "T E"], opening_m: Float[np.ndarray, " T"] | None = None
    ) -> Float[np.ndarray, "T E"]:
        """Weights at which nothing crosses: at a pair that would, the shapes that close it give way.

        Each in proportion to how far it closes that pair, so that a chin that lifts the lower lip into the upper one
        costs the brows nothing; whoever has given all leaves the rest to the others.
        """
        weights = np.maximum(weights, 0.0)
        out = weights.copy()
        for sweep in range(_SWEEPS):
            gaps = self.of_weights(out, opening_m)
            bad = np.flatnonzero((gaps < -_TOUCHING_M).any(1))
            if not len(bad):
                return out
            worst = gaps[bad].argmin(1)
            slope = np.maximum(-self.per_weight[worst], 0.0)
            closing = slope * out[bad]
            crossed = -gaps[bad, worst]
            share = crossed / np.maximum(closing.sum(1), 1e-12)  # where all gave way alike
            if sweep < _SWEEPS - _EVEN_SWEEPS:
                give = slope * (crossed / np.maximum((closing * slope).sum(1), 1e-12))[:, None]
            else:
                give = np.where(slope > 0.0, share[:, None], 0.0)
            out[bad] *= 1.0 - np.clip(give, 0.0, 1.0)
        return out
