"""Teeth that nobody saw: two arches of plain ones, where an expression parts the lips farther than the clip did.

Invented: an adult's arches at the size of the person's mouth, as light as the lightest that the clip shows in the
mouth or as the white of the eyes. What the fit learned of the person's own teeth stands in front of them.
"""

from __future__ import annotations

import numpy as np

from gtalk.ops import splat
from gtalk.shapes import Float
from gtalk.topology import INNER_LIPS_RING, OUTER_LIPS_RING

USUAL_MOUTH_M = 0.05  # width of the lips that the sizes below belong to
PITCH_M, HALF_WIDTH_M = 0.0013, 0.0195
UPPER_M, LOWER_M = 0.010, 0.008  # heights, gums included
UPPER_WIDTHS_M, LOWER_WIDTHS_M = (0.0085, 0.0065, 0.0075, 0.007), (0.0053, 0.0058, 0.0068, 0.007)
EDGE_M, OVERBITE_M = 0.001, 0.0015  # edge of the upper ones below the line of closed lips; the lower ones behind them
BEHIND_LIPS_M, ARCH_M = 0.0055, 0.018  # and the arch's radius in front
GUM_M = 0.0025
GUM = np.array([0.62, 0.36, 0.34])
TINT = np.array([0.86, 0.83, 0.77])  # of teeth in a mouth's shade, against the white of an eye
CREVICE, BESIDE, ROOT = 0.22, 0.6, 0.25  # how much darker it is between teeth, far to the side, towards the gums


def arches(
    neutral: Float[np.ndarray, "478 3"], lightest: Float[np.ndarray, "3"], white: Float[np.ndarray, "3"]
) -> tuple[Float[np.ndarray, "A 16"], Float[np.ndarray, "B 16"]]:
    """(upper, lower) teeth as Gaussians, head space, lips closed.

    Args:
        lightest: colour of the lightest that the clip shows in the mouth. white: of the eyes.
    """
    ring = neutral[INNER_LIPS_RING]
    size = float(np.ptp(neutral[OUTER_LIPS_RING, 0])) / USUAL_MOUTH_M
    middle = 0.5 * (ring[3:8].mean(0) + ring[13:18].mean(0))
    colour = np.maximum(lightest, np.clip(white, 0.0, 1.0) * TINT)
    upper = _arch(UPPER_M, UPPER_WIDTHS_M, colour, size, 1.0)
    lower = _arch(LOWER_M, LOWER_WIDTHS_M, 0.9 * colour, size, -1.0)
    edge = middle - np.array([0.0, EDGE_M, BEHIND_LIPS_M])
    upper[:, splat.POSITION] += edge
    lower[:, splat.POSITION] += edge - np.array([0.0, 0.0, OVERBITE_M])
    return upper, lower


def _arch(
    height_m: float, widths_m: tuple[float, ...], colour: Float[np.ndarray, "3"], size: float, up: float
) -> Float[np.ndarray, "A 16"]:
    """One row of teeth with its edge at 0, growing upwards or downwards."""
    x, y = np.meshgrid(np.arange(-HALF_WIDTH_M, HALF_WIDTH_M + 1e-9, PITCH_M), np.arange(0.0, height_m, PITCH_M))
    x, y = x.ravel(), y.ravel()
    between = np.cumsum((0.0, *widths_m))
    off = np.abs(np.abs(x)[:, None] - between).min(1)
    light = (1.0 - CREVICE * np.exp(-((off / 0.0006) ** 2))) * (1.0 - BESIDE * (x / HALF_WIDTH_M) ** 2)
    light *= 1.0 - ROOT * y / height_m
    gum = np.clip((y - (height_m - GUM_M)) / PITCH_M, 0.0, 1.0)[:, None]
    rows = np.zeros((len(x), splat.CHANNELS), np.float32)
    rows[:, splat.POSITION] = size * np.column_stack([x, up * (y + 3.0 * x * x), -x * x / (2.0 * ARCH_M)])
    rows[:, splat.LOG_SCALE] = np.log(0.7 * PITCH_M * size) + np.array([0.0, 0.0, np.log(0.3)])
    rows[:, splat.QUATERNION] = [1.0, 0.0, 0.0, 0.0]
    rows[:, splat.COLOUR] = light[:, None] * (colour * (1.0 - gum) + GUM * colour.max() * gum)
    rows[:, 14] = -8.0
    return rows
