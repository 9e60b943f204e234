"""Head pose as a few bounded numbers, and what a torso does when nobody tracked it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtalk.geometry.pose import mean_pose
from gtalk.geometry.rotation import log_so3
from gtalk.shapes import Float, Int
from gtalk.types import TORSO_BEND, Motion

TRANSLATION_UNIT_M = 0.03
ROTATION_UNIT_RAD = 0.15
PLACE_UNITS = np.array([0.02, 0.02, 0.03, 0.03])  # of the torso: image heights, radians, log scale
RIDGE = 1e-3  # added to the mean square of the features
CLAMP_MARGIN = 0.25  # of a number's range, beyond the clip's extremes
BENDS = 4  # modes of the torso's bend
LEAST_BEND = 5e-4  # image heights: a mode that moves less is noise
PLACES = 10 + BENDS  # head pose (6), the torso's similarity (4) and its bend
PREDICTED = 7 + BENDS  # torso similarity (4), camera framing (3), bend


@dataclass(frozen=True)
class PoseCode:
    """Maps head poses to codes (6 numbers near one: translation, rotation) and to torso and framing."""

    T_world_mean: Float[np.ndarray, "4 4"]
    """The head's mean pose over the training frames."""
    low: Float[np.ndarray, " 6"]
    high: Float[np.ndarray, " 6"]
    regression: Float[np.ndarray, "7 11"]
    """[1, code] -> torso (4), framing (3), bend (4)."""
    predicted_low: Float[np.ndarray, " 11"]
    predicted_high: Float[np.ndarray, " 11"]
    bend_mean: Float[np.ndarray, "36"]
    bend_modes: Float[np.ndarray, "4 36"]
    """Rows turn a torso_bend minus its mean into numbers of deviation one."""

    @staticmethod
    def fit(motion: Motion, segment_of: Int[np.ndarray, " T"]) -> PoseCode:
        """Learn from training frames. `segment_of` numbers the uncut part that each frame belongs to.

        A jump cut moves the torso for reasons that no head pose explains, so each part has its own
        intercept; new motion gets their mean.
        """
        mean = mean_pose(motion.head_pose)
        codes = _raw_codes(mean, motion.head_pose)
        frames = len(motion)
        bend = motion.channels.get("torso_bend", np.zeros((frames, TORSO_BEND)))
        bend_mean, bend_modes = _modes(bend)
        target = np.concatenate(
            [
                motion.channels.get("torso", np.zeros((frames, 4))),
                motion.channels.get("framing", np.zeros((frames, 3))),
                (bend - bend_mean) @ bend_modes.T,
            ],
            axis=1,
        )
        x, y = codes.copy(), target.copy()
        for segment in np.unique(segment_of):
            rows = segment_of == segment
            x[rows] -= x[rows].mean(0)
            y[rows] -= y[rows].mean(0)
        slope = np.linalg.solve(x.T @ x + RIDGE * frames * np.eye(6), x.T @ y)
        intercept = target.mean(0) - codes.mean(0) @ slope
        regression = np.vstack([intercept, slope])
        low, high = target.min(0), target.max(0)
        return PoseCode(mean, codes.min(0), codes.max(0), regression, low, high, bend_mean, bend_modes)

    def encode(self, head_pose: Float[np.ndarray, "T 4 4"]) -> Float[np.ndarray, "T 6"]:
        """Codes of head poses, clamped to the clip's range with a margin."""
        margin = CLAMP_MARGIN * (self.high - self.low)
        return np.clip(_raw_codes(self.T_world_mean, head_pose), self.low - margin, self.high + margin)

    def places(self, motion: Motion) -> Float[np.ndarray, "T 14"]:
        """Where head (6) and torso (4) are and how it bends (4): numbers near one, clamped to the clip's range with
        a margin.
        """
        codes, placed, bend = self.parts(motion)
        low, high = self.predicted_low[:4], self.predicted_high[:4]
        margin = CLAMP_MARGIN * (high - low)
        torso = np.clip(placed[:, :4], low - margin, high + margin) / PLACE_UNITS
        return np.concatenate([codes, torso, bend], axis=1)

    def parts(
        self, motion: Motion
    ) -> tuple[Float[np.ndarray, "T 6"], Float[np.ndarray, "T 7"], Float[np.ndarray, "T 4"]]:
        """(codes of the head, torso and framing, bend): `encode`, `torso_and_framing` and `encode_bend` at once."""
        codes = self.encode(motion.head_pose)
        predicted = self._predicted(codes)
        return codes, _tracked(motion, predicted), self._bend(motion, predicted)

    def torso_and_framing(self, motion: Motion) -> Float[np.ndarray, "T 7"]:
        """Torso similarity and framing of each frame: as tracked where the channels are there, else predicted."""
        return self.parts(motion)[1]

    def encode_bend(self, motion: Motion) -> Float[np.ndarray, "T 4"]:
        """The torso's bend, in deviations of the clip's: as tracked where the channel is there, else predicted."""
        return self.parts(motion)[2]

    def _bend(self, motion: Motion, predicted: np.ndarray) -> np.ndarray:
        values = predicted[:, 7:]
        if "torso_bend" in motion.channels:
            values = (motion.channels["torso_bend"] - self.bend_mean) @ self.bend_modes.T
        low, high = self.predicted_low[7:], self.predicted_high[7:]
        margin = CLAMP_MARGIN * (high - low)
        return np.clip(values, low - margin, high + margin)

    def _predicted(self, codes: np.ndarray) -> np.ndarray:
        """Torso, framing and bend by the head's place."""
        values = np.concatenate([np.ones((len(codes), 1)), codes], axis=1) @ self.regression
        return np.clip(values, self.predicted_low, self.predicted_high)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Named arrays for a safetensors file."""
        return {name: np.asarray(getattr(self, name), np.float64) for name in self.__dataclass_fields__}

    @staticmethod
    def from_arrays(arrays: dict[str, np.ndarray]) -> PoseCode:
        """Inverse of `to_arrays`. Raises KeyError or ValueError when an array is missing or misshapen."""
        shapes = {"T_world_mean": (4, 4), "low": (6,), "high": (6,), "regression": (7, PREDICTED)}
        shapes |= {"predicted_low": (PREDICTED,), "predicted_high": (PREDICTED,)}
        shapes |= {"bend_mean": (TORSO_BEND,), "bend_modes": (BENDS, TORSO_BEND)}
        for name, shape in shapes.items():
            if arrays[name].shape != shape or not np.isfinite(arrays[name]).all():
                raise ValueError(f"{name} has shape {arrays[name].shape}, expected {shape} of finite numbers")
        return PoseCode(**{name: np.asarray(arrays[name], np.float64) for name in shapes})


def _tracked(motion: Motion, predicted: np.ndarray) -> np.ndarray:
    values = predicted[:, :7].copy()
    if "torso" in motion.channels:
        values[:, :4] = motion.channels["torso"]
    if "framing" in motion.channels:
        values[:, 4:] = motion.channels["framing"]
    return values


def _modes(bend: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean, rows that give the principal components' values in deviations of one); no rows for what hardly moves."""
    mean = bend.mean(0)
    deviation, directions = np.linalg.svd(bend - mean, full_matrices=False)[1:]
    deviation = deviation[:BENDS] / np.sqrt(len(bend))
    modes = np.zeros((BENDS, bend.shape[1]))
    clear = np.flatnonzero(deviation > LEAST_BEND)
    modes[clear] = directions[clear] / deviation[clear, None]
    return mean, modes


def _raw_codes(mean: np.ndarray, poses: np.ndarray) -> np.ndarray:
    translation = (poses[:, :3, 3] - mean[:3, 3]) / TRANSLATION_UNIT_M
    rotation = log_so3(mean[:3, :3].T @ poses[:, :3, :3]) / ROTATION_UNIT_RAD
    return np.concatenate([translation, rotation], axis=1)
