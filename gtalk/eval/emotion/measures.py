"""What is measured about an expression: strength, order, what speech lost, holes. Plain arithmetic on arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gtalk.shapes import Bool, Float, UInt8

SHUT_M = 0.0015
COLOUR_BITS = 5


def strength(offset: Float[np.ndarray, "52"], wanted: Float[np.ndarray, "52"]) -> float:
    """Projection of a change of scores on the wanted one: 1 where all of it is read."""
    return float(offset @ wanted / max(float(wanted @ wanted), 1e-12))


def strength_of_real(
    offset: Float[np.ndarray, "52"], real: Sequence[Float[np.ndarray, "52"]], wanted: Float[np.ndarray, "52"]
) -> float | None:
    """Projection of a change of scores on the mean change of real people, over the wanted expression's channels.

    1 is as strong as those people acted it. A reader gives even strong real displays a fraction of 1 in most channels,
    so this, and not `strength`, says how much of an expression is there. None where nothing of it was read on them.
    """
    if not real:
        return None
    mean = np.where(wanted > 0.0, np.mean(real, 0), 0.0)
    power = float(mean @ mean)
    return float(offset @ mean) / power if power > 1e-6 else None


def spearman(values: list[float]) -> float:
    """Rank correlation of values with their order."""
    ranks = np.argsort(np.argsort(values)).astype(np.float64)
    return float(np.corrcoef(ranks, np.arange(len(values)))[0, 1]) if len(values) > 1 else 0.0


def content_correlation(shown_m: Float[np.ndarray, " T"], spoken_m: Float[np.ndarray, " T"]) -> float | None:
    """Correlation of the lips' opening with that of the neutral dub; None where nothing moves."""
    if min(shown_m.std(), spoken_m.std()) < 1e-6:
        return None
    return float(np.corrcoef(shown_m, spoken_m)[0, 1])


def closures_kept(
    shown_m: Float[np.ndarray, " T"], spoken_m: Float[np.ndarray, " T"], rest_m: float, speaking: Bool[np.ndarray, " T"]
) -> float | None:
    """Share of the moments at which speech shuts the lips that are still shut; None where there is none."""
    shut = speaking & (spoken_m - rest_m < SHUT_M)
    return float((shown_m[shut] - rest_m < 2.0 * SHUT_M).mean()) if shut.any() else None


def silence_leakage(shown_m: Float[np.ndarray, " T"], usual_m: float) -> float:
    """Share of silent frames in which the lips move or are not as at the end of the silence."""
    moved = np.abs(np.diff(shown_m, prepend=shown_m[:1])) > 0.0004
    opened = np.abs(shown_m - shown_m[-1]) > 0.15 * usual_m
    return float((moved | opened).mean())


class KnownColours:
    """Colours of an image region over a clip, so that what no frame resembles is found."""

    def __init__(self) -> None:
        side = 2**COLOUR_BITS
        self._seen = np.zeros((side, side, side), bool)

    def add(self, pixels: UInt8[np.ndarray, "N 3"]) -> None:
        """Colours that the clip shows."""
        self._seen[tuple((pixels >> (8 - COLOUR_BITS)).T)] = True

    def unlike(self, pixels: UInt8[np.ndarray, "N 3"]) -> Bool[np.ndarray, " N"]:
        """Which pixels are farther than a step from every colour that was added."""
        near = np.zeros_like(self._seen)
        padded = np.pad(self._seen, 1)
        side = len(near)
        for shift in np.ndindex(3, 3, 3):
            near |= padded[tuple(slice(s, s + side) for s in shift)]
        return ~near[tuple((pixels >> (8 - COLOUR_BITS)).T)]
