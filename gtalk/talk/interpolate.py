"""Motion at any frame rate: motion is interpolated, never images.

Translations and landmarks go linearly, rotations along the great arc (Shoemake, "Animating rotation
with quaternion curves", SIGGRAPH 1985), so a dub at 60 fps is as sharp as one at 25.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from gtalk.errors import UserError
from gtalk.geometry.rotation import slerp
from gtalk.shapes import Float
from gtalk.types import AUDIO_RATE, Motion

_MAX_DENOMINATOR = 1001 * 1000  # 29.97 means 30000/1001, and a float must not decide a frame count


def exact_rate(fps: float) -> Fraction:
    """The fraction that a frame rate stands for: 23.976, 29.97 and 59.94 are NTSC's 24, 30 and 60 / 1.001.

    Raises UserError when it is not above 0 and at most 1000.
    """
    if not (np.isfinite(fps) and 0 < fps <= 1000):
        raise UserError(
            "fps", expected="a number above 0, at most 1000", got=repr(fps), remedy="Use for instance 25 or 29.97."
        )
    for whole in (24, 30, 60, 120):
        if abs(fps - whole / 1.001) < 1e-3:
            return Fraction(whole * 1000, 1001)
    return Fraction(fps).limit_denominator(_MAX_DENOMINATOR)


def frame_count(n_samples: int, fps: float, sample_rate: int = AUDIO_RATE) -> int:
    """ceil(n_samples * fps / sample_rate), exactly: how many frames begin before the sound ends."""
    rate = exact_rate(fps)
    return -(-n_samples * rate.numerator // (sample_rate * rate.denominator))


def resampled_count(n_frames: int, from_fps: float, to_fps: float) -> int:
    """How many frames at `to_fps` begin before `n_frames` at `from_fps` end."""
    return -int(-n_frames * exact_rate(to_fps) // exact_rate(from_fps))


def first_sample(frame: int, fps: float, sample_rate: int = AUDIO_RATE) -> int:
    """Index of the first sample that is not before the instant frame / fps."""
    rate = exact_rate(fps)
    return -(-frame * sample_rate * rate.denominator // rate.numerator)


def interpolate(motion: Motion, positions: Float[np.ndarray, " N"], fps: float) -> Motion:
    """Motion at fractional frame `positions` of `motion` (held at both ends), as a motion at `fps`.

    A frame is valid when both neighbours that it is made of are.
    """
    positions = np.clip(np.asarray(positions, dtype=np.float64), 0, len(motion) - 1)
    before = np.floor(positions).astype(np.int64)
    return _between(motion, before, positions - before, fps)


def _between(motion: Motion, before: np.ndarray, share: np.ndarray, fps: float) -> Motion:
    """Frames `share` of the way from frames `before` to the next ones."""
    last = len(motion) - 1
    share = np.where(before < last, share, 0.0)
    before = np.minimum(before, last)
    after = np.minimum(before + 1, last)
    whole = share == 0

    def linear(values: np.ndarray) -> np.ndarray:
        weight = share.reshape(-1, *[1] * (values.ndim - 1)).astype(
            values.dtype if values.dtype.kind == "f" else np.float64
        )
        return values[before] * (1 - weight) + values[after] * weight

    pose = linear(motion.head_pose)
    pose[:, :3, :3] = slerp(motion.head_pose[before, :3, :3], motion.head_pose[after, :3, :3], share)
    pose[whole] = motion.head_pose[before[whole]]  # exact where nothing is to be interpolated
    return Motion(
        fps, linear(motion.landmarks), linear(motion.eyes), linear(motion.gaze), linear(motion.brows), pose,
        motion.valid[before] & (motion.valid[after] | whole),
        {name: linear(values) for name, values in motion.channels.items()},
    )  # fmt: skip


def resample_motion(motion: Motion, fps: float) -> Motion:
    """A whole motion at another frame rate: ceil(duration * fps) frames."""
    resampler = MotionResampler(motion.fps, fps)
    parts = [resampler.push(motion), resampler.finish(resampled_count(len(motion), motion.fps, fps))]
    return Motion.concatenate([part for part in parts if part is not None and len(part)])


class MotionResampler:
    """Motion frames in at one rate, out at another, in pieces of any size with the same result."""

    def __init__(self, from_fps: float, to_fps: float) -> None:
        self._from, self._to = exact_rate(from_fps), exact_rate(to_fps)
        self._fps = to_fps
        self._kept: Motion | None = None  # the input frames that later outputs still need
        self._kept_first = 0
        self._emitted = 0

    def push(self, motion: Motion) -> Motion | None:
        """Take frames, return those whose neighbours are now all known (None before the first input)."""
        if len(motion):
            self._kept = motion if self._kept is None else Motion.concatenate([self._kept, motion])
        if self._kept is None:
            return None
        last = self._kept_first + len(self._kept) - 1
        # Output j lies at input position j * from / to, and needs the inputs on both sides of it.
        return self._emit(int(last * self._to // self._from) + 1)

    def finish(self, count: int) -> Motion | None:
        """The remaining frames, `count` since the beginning: the last input frame is held."""
        return self._emit(count)

    def _emit(self, stop: int) -> Motion | None:
        if self._kept is None:
            return None
        stop = max(stop, self._emitted)
        # Whole and fractional part are taken from exact fractions: rounding must not depend on the pieces.
        positions = [j * self._from / self._to for j in range(self._emitted, stop)]
        before = np.array([p.__floor__() - self._kept_first for p in positions], dtype=np.int64)
        share = np.array([float(p % 1) for p in positions])
        frames = _between(self._kept, before, share, self._fps)
        self._emitted = stop
        needed = int(stop * self._from // self._to)
        drop = int(np.clip(needed - self._kept_first, 0, len(self._kept) - 1))
        self._kept, self._kept_first = self._kept[drop:], self._kept_first + drop
        return frames
