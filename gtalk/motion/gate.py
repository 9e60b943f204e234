"""The silence gate: lips are shut where nobody speaks, whatever the network thinks of the noise."""

from __future__ import annotations

import numpy as np

from gtalk.motion.net import ROWS_PER_FRAME
from gtalk.shapes import Float

HANG_ROWS = 8  # speech is taken to go on for so long after its last sign (10 ms each)
AHEAD_ROWS = 10  # lips open before the sound
OPEN_FRAMES, CLOSE_FRAMES = 2, 3
_LOW, _HIGH = 0.15, 0.5  # activity that counts as silence, and as speech


class SilenceGate:
    """Speech activity at 100 Hz -> how far the mouth may open at 25 fps, 0 to 1. Keeps state."""

    def __init__(self) -> None:
        self._open = 0.0

    def __call__(self, activity: Float[np.ndarray, "T W"]) -> Float[np.ndarray, " T"]:
        """One value for each frame's window of activity: HANG_ROWS before its instant to AHEAD_ROWS after it."""
        wanted = np.clip((activity.max(1) - _LOW) / (_HIGH - _LOW), 0.0, 1.0)
        out = np.empty(len(wanted))
        for i, target in enumerate(wanted.tolist()):
            step = min(max(target - self._open, -1.0 / CLOSE_FRAMES), 1.0 / OPEN_FRAMES)
            self._open += step
            out[i] = self._open
        return out * out * (3.0 - 2.0 * out)


def activity_windows(activity: Float[np.ndarray, " R"], first: int, count: int) -> Float[np.ndarray, "T W"]:
    """Windows of the gate for `count` frames, the first of whose instants is row `first`."""
    rows = first + ROWS_PER_FRAME * np.arange(count)[:, None] + np.arange(-HANG_ROWS, AHEAD_ROWS + 1)
    return activity[np.clip(rows, 0, len(activity) - 1)]
