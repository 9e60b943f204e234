"""Edits that need to know nothing of the person: where the eyes look, how the head is turned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtalk.geometry.rotation import exp_so3
from gtalk.types import Motion

TORSO_CHANNELS = ("torso", "torso_bend", "sway")


@dataclass(frozen=True)
class Gaze:
    """A MotionEdit: adds to the gaze, radians in the head's frame."""

    yaw_rad: float = 0.0
    """Towards the image's right."""
    pitch_rad: float = 0.0
    """Up."""

    def __call__(self, motion: Motion, start_frame: int = 0) -> Motion:
        """The edited frames."""
        if not (self.yaw_rad or self.pitch_rad):
            return motion
        return motion.replace(gaze=motion.gaze + np.array([self.yaw_rad, self.pitch_rad]))


@dataclass(frozen=True)
class Turn:
    """A MotionEdit: turns the head about its own axes, radians. The torso follows as the avatar has learned it."""

    pitch_rad: float = 0.0
    yaw_rad: float = 0.0
    roll_rad: float = 0.0

    def __call__(self, motion: Motion, start_frame: int = 0) -> Motion:
        """The edited frames."""
        turn = np.array([[self.pitch_rad, self.yaw_rad, self.roll_rad]], np.float64)
        if not turn.any():
            return motion
        poses = motion.head_pose.astype(np.float64)
        poses[:, :3, :3] = poses[:, :3, :3] @ exp_so3(turn)
        return without_torso(motion.replace(head_pose=poses))


def without_torso(motion: Motion) -> Motion:
    """The motion without a torso of its own: the avatar, which owns what follows from the head, adds its own."""
    return motion.replace(channels={k: v for k, v in motion.channels.items() if k not in TORSO_CHANNELS})
