"""Blinks and gaze: random processes with the clip's own rates, durations and shapes. Seeded and endless."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtalk.shapes import Bool, Float

BLINK_BELOW = 0.5  # openness
BLINK_BEFORE, BLINK_AFTER = 4, 9  # frames around the most closed one that belong to a blink
_MAX_SHAPES = 48
_USUAL_RATE_HZ = 0.28  # of blinks, where the clip shows too few: about 17 a minute
_USUAL_SHAPE = np.array([0.0, 0.0, 0.25, 0.75, 1.0, 0.85, 0.55, 0.3, 0.15, 0.05, 0.0, 0.0, 0.0, 0.0])
_SACCADE_RAD = 0.02  # faster from frame to frame is a saccade
_SACCADE_FRAMES = 2


@dataclass(frozen=True)
class BlinkGazeModel:
    """Statistics of one person's blinks and gaze."""

    blink_rate_hz: float
    blink_spread: float
    """Standard deviation of the logarithm of the time between blinks."""
    blink_shapes: Float[np.ndarray, "N 14 2"]
    """Closure of each eye, 0 to 1, of blinks that were seen."""
    gaze_mean: Float[np.ndarray, " 2"]
    gaze_of_head: Float[np.ndarray, "6 2"]
    """How the eyes counter the head's motion."""
    gaze_targets: Float[np.ndarray, "M 2"]
    """Where the gaze rested, radians, head motion taken out."""
    dwell_s: float
    """Mean time between saccades."""

    @staticmethod
    def fit(
        eyes: Float[np.ndarray, "T 2"],
        gaze: Float[np.ndarray, "T 2"],
        pose: Float[np.ndarray, "T 6"],
        runs: list[tuple[int, int]],
        valid: Bool[np.ndarray, " T"],
        fps: float,
    ) -> BlinkGazeModel:
        """From tracked frames."""
        bottoms = blink_frames(eyes, runs, valid)
        duration_s = max(float(valid.sum()) / fps, 1e-6)
        shapes = [_closure(eyes[b - BLINK_BEFORE : b + BLINK_AFTER + 1]) for b in bottoms]
        gaps = np.diff(bottoms)[np.diff(np.searchsorted([a for a, _ in runs], bottoms, side="right")) == 0] / fps
        few = len(bottoms) < 3
        rate = _USUAL_RATE_HZ if few and duration_s < 20.0 else max(len(bottoms), 1) / duration_s
        spread = float(np.clip(np.std(np.log(np.maximum(gaps, 0.1))), 0.4, 0.9)) if len(gaps) >= 8 else 0.6
        if few:
            shapes = [np.repeat(_USUAL_SHAPE[:, None], 2, 1)]
        design = pose[valid] - pose[valid].mean(0)
        looked = gaze[valid] - gaze[valid].mean(0)
        scale = np.array([0.05] * 3 + [0.01] * 3)
        scaled = design / scale
        follow = np.linalg.solve(scaled.T @ scaled + 50.0 * np.eye(6), scaled.T @ looked) / scale[:, None]
        targets, dwell = _fixations(looked - design @ follow, valid, gaze, fps)
        chosen = np.linspace(0, len(shapes) - 1, min(len(shapes), _MAX_SHAPES)).round().astype(int)
        return BlinkGazeModel(
            float(rate), spread, np.array(shapes)[chosen], gaze[valid].mean(0), follow, targets, dwell
        )


class EyeStream:
    """One endless run: openness and gaze of the next frames, whatever the chunks."""

    def __init__(self, life: BlinkGazeModel, fps: float, seed: int, blink_rate: float = 1.0) -> None:
        self._life, self._fps, self.blink_rate = life, fps, blink_rate
        self._blinks, self._looks = np.random.default_rng([seed, 2]), np.random.default_rng([seed, 3])
        self._shape = np.zeros((0, 2))
        self._blink_in = int(self._blinks.uniform(0.2, 1.0) * self._pause())
        self._target = self._from = self._pick()
        self._since = _SACCADE_FRAMES
        self._stay = self._dwell()

    def __call__(self, pose: Float[np.ndarray, "T 6"]) -> tuple[Float[np.ndarray, "T 2"], Float[np.ndarray, "T 2"]]:
        """(openness, gaze) of T frames; `pose` is the head's against its mean."""
        eyes, gaze = np.empty((len(pose), 2)), np.empty((len(pose), 2))
        for i in range(len(pose)):
            eyes[i], gaze[i] = 1.0 - self._closure(), self._look()
        return eyes, self._life.gaze_mean + pose @ self._life.gaze_of_head + gaze

    def _closure(self) -> np.ndarray:
        if not len(self._shape):
            self._blink_in -= 1
            if self._blink_in > 0:
                return np.zeros(2)
            self._shape = self._life.blink_shapes[self._blinks.integers(len(self._life.blink_shapes))]
            self._blink_in = self._pause()
        now, self._shape = self._shape[0], self._shape[1:]
        return now

    def _pause(self) -> int:
        """Frames between two blinks: log-normal, so that blinks come at the clip's rate."""
        life = self._life
        shape_s = life.blink_shapes.shape[1] / self._fps
        mean_s = max(1.0 / max(life.blink_rate_hz * self.blink_rate, 1e-3) - shape_s, 0.1)
        log_mean = np.log(mean_s) - 0.5 * life.blink_spread**2
        return max(1, round(float(np.exp(self._blinks.normal(log_mean, life.blink_spread))) * self._fps))

    def _look(self) -> np.ndarray:
        self._stay -= 1
        if self._stay <= 0:
            self._from, self._target, self._since, self._stay = self._target, self._pick(), 0, self._dwell()
        self._since = min(self._since + 1, _SACCADE_FRAMES)
        return self._from + (self._target - self._from) * (self._since / _SACCADE_FRAMES)

    def _pick(self) -> np.ndarray:
        return self._life.gaze_targets[self._looks.integers(len(self._life.gaze_targets))]

    def _dwell(self) -> int:
        return max(_SACCADE_FRAMES + 1, round(self._looks.gamma(2.0, self._life.dwell_s / 2.0) * self._fps))


def blink_frames(
    eyes: Float[np.ndarray, "T 2"], runs: list[tuple[int, int]], valid: Bool[np.ndarray, " T"]
) -> np.ndarray:
    """The most closed frame of every blink that lies whole inside a run."""
    openness = eyes.mean(1)
    found: list[int] = []
    for start, stop in runs:
        shut = openness[start:stop] < BLINK_BELOW
        edges = np.flatnonzero(np.diff(np.concatenate([[0], shut.astype(int), [0]])))
        for a, b in edges.reshape(-1, 2):
            bottom = start + a + int(np.argmin(openness[start + a : start + b]))
            whole = start + BLINK_BEFORE <= bottom < stop - BLINK_AFTER
            far = not found or bottom - found[-1] > BLINK_BEFORE
            if whole and far and b - a <= BLINK_AFTER and valid[bottom - BLINK_BEFORE : bottom + BLINK_AFTER + 1].all():
                found.append(bottom)
    return np.array(found, dtype=int)


def _closure(eyes: np.ndarray) -> np.ndarray:
    """[14,2] openness of a blink -> closure that begins and ends open."""
    openness = np.clip(eyes, 0.0, 1.0)
    bottom = BLINK_BEFORE
    out = 1.0 - openness
    # Another blink may begin inside the window: from the first recovery on, only opening counts.
    out[bottom:] = np.minimum.accumulate(out[bottom:], axis=0)
    out[: bottom + 1] = np.maximum.accumulate(out[: bottom + 1], axis=0)
    ease = np.ones(len(out))
    ease[[0, -1]], ease[-2] = 0.0, 0.5
    return out * ease[:, None]


def _fixations(rest: np.ndarray, valid: np.ndarray, gaze: np.ndarray, fps: float) -> tuple[np.ndarray, float]:
    """(where the gaze rested, mean dwell in seconds) out of the gaze without head motion."""
    low, high = np.percentile(rest, [3, 97], axis=0)
    speed = np.linalg.norm(np.diff(gaze, axis=0), axis=1)[valid[1:] & valid[:-1]]
    jumps = (speed[1:-1] > _SACCADE_RAD) & (speed[1:-1] >= speed[:-2]) & (speed[1:-1] > speed[2:])
    dwell = float(np.clip(len(rest) / fps / max(int(jumps.sum()), 1), 0.4, 4.0))
    smooth = np.stack([np.convolve(column, np.ones(5) / 5, mode="same") for column in rest.T], axis=1)
    targets = np.clip(smooth, low, high)[:: max(1, len(rest) // 256)]
    return targets, dwell
