"""How one thing gives way to another without a jolt."""

from __future__ import annotations

import numpy as np


def smoothstep(low: float | int, high: float | int, x: np.ndarray | np.floating | float) -> np.ndarray:
    """0 at `low`, 1 at `high`, flat beyond: 3 t^2 - 2 t^3 with t = (x - low) / (high - low). low > high falls."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))
