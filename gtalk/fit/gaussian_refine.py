"""Small corrections of each training frame's tracking, learned with the Gaussians through the picture.

Tracking errs by fractions of a pixel from frame to frame; Gaussians that are fitted to such frames as they
are become blurred. Corrections of a frame: head pose (6), torso similarity (4), code (K). Their mean over the
clip is kept at zero, so that tracking and rendering of other frames still agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from gtalk.avatar.gaussian import Instant
from gtalk.shapes import Float, Int

POSE, TORSO = slice(0, 6), slice(6, 10)


@dataclass(frozen=True)
class RefineConfig:
    """How freely tracking is corrected."""

    pose_rate: float = 3e-4
    """Of rotations (radians) and of translations (in metres times ten), a step of the frame."""
    torso_rate: float = 3e-4
    """Of picture heights, radians and log scale."""
    code_rate: float = 2e-2
    """Of codes (standard deviations)."""
    pull: float = 0.01
    """Share of a correction that is forgotten at each step of its frame."""
    begin: float = 0.05
    """Progress of the fit (0 to 1) at which corrections begin; above 1 there are none."""


class Refinement:
    """A table of corrections and its Adam state."""

    def __init__(self, indices: Int[np.ndarray, " N"], code_size: int, config: RefineConfig) -> None:
        self.config = config
        self.row_of = {int(index): row for row, index in enumerate(indices)}
        width = 10 + code_size
        self.values = torch.zeros(len(indices), width)
        self.first, self.second = torch.zeros_like(self.values), torch.zeros_like(self.values)
        self.steps = torch.zeros(len(indices))
        self.rates = torch.full((width,), config.code_rate)
        self.rates[POSE], self.rates[TORSO] = config.pose_rate, config.torso_rate

    def apply(self, index: int, now: Instant) -> Instant:
        """The instant with its frame's correction."""
        correction = self.values[self.row_of[index]]
        if not bool(self.steps[self.row_of[index]]):
            return now
        head = corrected_head(now.T_camera_head, correction[POSE].double().numpy())
        torso = corrected_torso(now.T_camera_torso, correction[TORSO].double().numpy())
        return Instant(now.code + correction[10:].to(now.code.device), head, torso, now.framing)

    def step(
        self,
        index: int,
        now: Instant,
        d_transforms: Float[torch.Tensor, "2 3 4"],
        d_code: Float[torch.Tensor, " K"],
        factor: float,
    ) -> None:
        """One step of Adam on a frame's correction. `now` is the corrected instant that was drawn."""
        row = self.row_of[index]
        d = d_transforms.double().cpu().numpy()
        gradient = torch.cat(
            [
                torch.from_numpy(head_gradient(now.T_camera_head, d[0])),
                torch.from_numpy(torso_gradient(now.T_camera_torso, d[1])),
                d_code.double().cpu(),
            ]
        ).float()
        self.steps[row] += 1
        count = float(self.steps[row])
        first, second = self.first[row], self.second[row]
        first.mul_(0.8).add_(gradient, alpha=0.2)
        second.mul_(0.95).addcmul_(gradient, gradient, value=0.05)
        move = first / (1.0 - 0.8**count) / ((second / (1.0 - 0.95**count)).sqrt() + 1e-12)
        value = self.values[row]
        value.mul_(1.0 - self.config.pull).sub_(factor * self.rates * move)
        seen = self.steps > 0
        # What all frames share belongs to the Gaussians; a slow pull keeps it out of the table.
        if int(count) % 4 == 0:
            self.values[seen] -= self.values[seen].mean(0)

    def state(self) -> dict[str, torch.Tensor]:
        """Everything that changes."""
        return {"values": self.values, "first": self.first, "second": self.second, "steps": self.steps}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Inverse of `state`."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])


def corrected_head(T: Float[np.ndarray, "3 4"], correction: Float[np.ndarray, "6"]) -> Float[np.ndarray, "3 4"]:
    """Turned about the head's own origin by a rotation vector of the camera's frame, and shifted (0.1 m)."""
    turn = cv2.Rodrigues(correction[:3])[0]
    return np.concatenate([turn @ T[:, :3], T[:, 3:] + 0.1 * correction[3:, None]], axis=1)


def head_gradient(T: Float[np.ndarray, "3 4"], d: Float[np.ndarray, "3 4"]) -> Float[np.ndarray, "6"]:
    """Gradient of a further small correction of a head that is at T, from that of T."""
    product = d[:, :3] @ T[:, :3].T
    turn = np.array([product[2, 1] - product[1, 2], product[0, 2] - product[2, 0], product[1, 0] - product[0, 1]])
    return np.concatenate([turn, 0.1 * d[:, 3]])


def corrected_torso(T: Float[np.ndarray, "3 4"], correction: Float[np.ndarray, "4"]) -> Float[np.ndarray, "3 4"]:
    """Moved in the picture by (dx, dy) focal lengths, turned and scaled about the camera's axis."""
    dx, dy, angle, scale = correction
    c, s = np.cos(angle) * np.exp(scale), np.sin(angle) * np.exp(scale)
    return np.array([[c, -s, dx], [s, c, dy], [0.0, 0.0, 1.0]]) @ T


def torso_gradient(T: Float[np.ndarray, "3 4"], d: Float[np.ndarray, "3 4"]) -> Float[np.ndarray, "4"]:
    """Gradient of a further small correction of a torso that is at T, from that of T."""
    p = d @ T.T  # d loss / d of a small linear map applied in camera space
    return np.array([p[0, 2], p[1, 2], p[1, 0] - p[0, 1], p[0, 0] + p[1, 1]])
