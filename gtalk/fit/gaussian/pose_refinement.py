"""Small corrections of each training frame's tracking, learned with the Gaussians through the image.

Tracking errs by fractions of a pixel from frame to frame; Gaussians that are fitted to such frames as they
are become blurred. Corrections of a frame: head pose (6), torso similarity (4), code (K). Their mean over the
clip is kept at zero, so that tracking and rendering of other frames still agree.

A fit looks at each frame once or twice only: steps that a rate decides would come to nothing. So a visit is one
damped Newton step, whose curvature all frames share (they show the same head at nearly the same size): it is
measured during the fit by moving some frames a little and seeing how their gradients change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from gtalk.avatar.gaussian import FrameParams
from gtalk.shapes import Float, Int

POSE, TORSO, PLACED = slice(0, 6), slice(6, 10), 10
PARTS = {"pose": POSE, "torso": TORSO, "code": slice(PLACED, None)}
LONGEST = 3.0  # expected errors that a step may be long
Slope = Callable[[FrameParams], torch.Tensor]
"""Gives the gradient [10+K] of an image's loss by a correction of an instant."""


@dataclass(frozen=True)
class RefineConfig:
    """How freely tracking is corrected."""

    turn_rad: float = 4e-3
    """Expected error of the head's rotation, where tracking errs. No visit changes more than two expected errors."""
    across_m: float = 4e-4
    """Of the head's place across the image."""
    along_m: float = 4e-3
    """Of its distance from the camera."""
    torso: float = 1.5e-3
    """Of the torso's place in image heights, of its angle and of its log scale."""
    code: float = 0.25
    """Of codes (standard deviations)."""
    doubt: float = 0.5
    """Newton steps that are no larger than so many expected errors, root mean square over the frames, say that the
    Gaussians do not fit, not that the tracking errs: they are not taken. Larger ones are taken by the share that is
    more. A clip that is tracked well is best left alone: other frames are tracked as its frames were."""
    code_doubt: float = 1.6
    """The same of codes, which what does not fit disturbs more."""
    gain: float = 0.7
    """Share of the believed Newton step that a visit takes; 0 for no corrections."""
    damping: float = 0.1
    """Added to the curvature, as a share of its mean: what the image hardly shows is left alone."""
    pull: float = 0.01
    """Share of a correction that is forgotten at each visit of its frame."""
    begin: float = 0.15
    """Progress of the fit (0 to 1) at which corrections begin; above 1 there are none."""
    probe_every: int = 40
    """Steps between measurements of the curvature."""
    probes: int = 36
    """Measurements before the first correction; these are made at every other step."""
    polls: int = 32
    """Newton steps that are only looked at, to know how large they usually are, before the first is taken."""

    def units(self, code_size: int) -> Float[torch.Tensor, " C"]:
        """Expected errors of all corrections; translations count in tenths of a metre."""
        units = torch.full((PLACED + code_size,), self.code)
        units[:3], units[3:5], units[5], units[TORSO] = (
            self.turn_rad, 10.0 * self.across_m, 10.0 * self.along_m, self.torso,
        )  # fmt: skip
        return units


class Curvature:
    """Second derivatives of the loss by corrections in units, measured by differences of gradients.

    Head pose and torso have full matrices, codes a diagonal; they are probed in turns.
    """

    KEPT = 0.97  # share of what is known that stays at each new probe

    def __init__(self, code_size: int, damping: float) -> None:
        self.damping = damping
        self.products = {"pose": torch.zeros(6, 6), "torso": torch.zeros(4, 4), "code": torch.zeros(code_size)}
        self.squares = {name: torch.zeros_like(tensor) for name, tensor in self.products.items()}
        self.count = torch.zeros(())

    def probe(self, now: FrameParams, units: Float[torch.Tensor, " C"], slope: Slope) -> None:
        """Move an instant, one group of numbers at a time, and learn from how its gradient changes."""
        name = ("pose", "torso", "pose", "code")[int(self.count) % 4]
        part, step = PARTS[name], torch.zeros_like(units)
        rng = torch.Generator().manual_seed(int(self.count))  # so that the fit's own draws stay what they are
        step[part] = 0.5 * torch.randn(len(units[part]), generator=rng)
        change = (slope(moved(now, step * units)) - slope(now)) * units
        d, g = step[part], change[part]
        product, square = (g * d, d * d) if name == "code" else (torch.outer(g, d), torch.outer(d, d))
        self.products[name].mul_(self.KEPT).add_(product)
        self.squares[name].mul_(self.KEPT).add_(square)
        self.count += 1

    def newton(self, gradient: Float[torch.Tensor, " C"]) -> Float[torch.Tensor, " C"]:
        """The damped step that takes a gradient (both in units) to nothing."""
        step = torch.empty_like(gradient)
        for name, part in PARTS.items():
            if name == "code":
                curve = self.products[name] / (self.squares[name] + 1e-12)
                usual = curve.mean().clamp(min=1e-12)
                # One number of few probes is not to be relied on: flat ones are taken for usual ones.
                step[part] = -gradient[part] / (torch.maximum(curve, 0.5 * usual) + self.damping * usual)
                continue
            size = len(self.products[name])
            ridge = 1e-3 * torch.eye(size) * self.squares[name].trace() / size
            curve = torch.linalg.solve(self.squares[name] + ridge, self.products[name].T)
            values, axes = torch.linalg.eigh(0.5 * (curve + curve.T))
            usual = values.clamp(min=0.0).mean().clamp(min=1e-12)
            along = -(axes.T @ gradient[part]) / (values.clamp(min=0.0) + self.damping * usual)
            step[part] = axes @ along
        return step.clamp(-LONGEST, LONGEST)

    def state(self) -> dict[str, torch.Tensor]:
        """Everything that changes."""
        sums = {f"products.{n}": t for n, t in self.products.items()} | {
            f"squares.{n}": t for n, t in self.squares.items()
        }
        return {**sums, "probes": self.count}


class Refinement:
    """A table of corrections and how they are found."""

    def __init__(self, indices: Int[np.ndarray, " N"], code_size: int, config: RefineConfig) -> None:
        self.config = config
        self.row_of = {int(index): row for row, index in enumerate(indices)}
        self.values = torch.zeros(len(indices), PLACED + code_size)
        self.visits = torch.zeros(len(indices))
        self.units = config.units(code_size)
        self.curvature = Curvature(code_size, config.damping)
        self.polled, self.squares = torch.zeros(()), torch.zeros(len(PARTS))

    def trust(self) -> Float[torch.Tensor, "3"]:
        """Share of the Newton steps of pose, torso and code that is believed."""
        config = self.config
        doubt = torch.tensor([config.doubt, config.doubt, config.code_doubt])
        return (1.0 - doubt**2 * self.polled / (self.squares + 1e-12)).clamp(min=0.0)

    def wants_probe(self, step: int, progress: float) -> bool:
        """Whether the curvature is to be measured at this step."""
        config = self.config
        if config.gain == 0.0 or progress < 0.5 * config.begin or config.begin > 1.0:
            return False
        known = int(self.curvature.count) >= config.probes
        return step % (config.probe_every if known else 2) == 0

    def apply(self, index: int, now: FrameParams) -> FrameParams:
        """The instant with its frame's correction."""
        row = self.row_of[index]
        return moved(now, self.values[row]) if bool(self.visits[row]) else now

    def probe(self, now: FrameParams, slope: Slope) -> None:
        """Measure curvature at an instant."""
        self.curvature.probe(now, self.units, slope)

    def step(self, index: int, gradient: Float[torch.Tensor, " C"]) -> None:
        """One damped Newton step on a frame's correction. `gradient` is by a further correction of it as drawn."""
        config = self.config
        if int(self.curvature.count) < config.probes:
            return
        row = self.row_of[index]
        newton = self.curvature.newton(gradient * self.units)
        if not bool(self.visits[row]):
            self.polled += 1
            self.squares += torch.stack([newton[part].square().mean() for part in PARTS.values()])
        if int(self.polled) < config.polls:
            return
        self.visits[row] += 1
        for part, trust in zip(PARTS.values(), self.trust(), strict=True):
            newton[part] *= config.gain * trust
        self.values[row] = (1.0 - config.pull) * self.values[row] + self.units * newton.clamp(-2.0, 2.0)
        seen = self.visits > 0
        # What all frames share belongs to the Gaussians.
        if int(self.visits.sum()) % 16 == 0:
            self.values[seen] -= self.values[seen].mean(0)

    def state(self) -> dict[str, torch.Tensor]:
        """Everything that changes."""
        own = {"values": self.values, "visits": self.visits, "polled": self.polled, "polled_squares": self.squares}
        return {**own, **self.curvature.state()}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Inverse of `state`."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])


def moved(now: FrameParams, correction: Float[torch.Tensor, " C"]) -> FrameParams:
    """An instant with a correction [10+K]."""
    values = correction.double().cpu().numpy()
    head = corrected_head(now.T_camera_head, values[POSE])
    torso = corrected_torso(now.T_camera_torso, values[TORSO])
    return FrameParams(now.code + correction[PLACED:].to(now.code), head, torso, now.framing)


def correction_gradient(
    now: FrameParams, d_transforms: Float[torch.Tensor, "2 3 4"], d_code: Float[torch.Tensor, " K"]
) -> Float[torch.Tensor, " C"]:
    """Gradient by a further correction of an instant, from those by its transforms and its code."""
    d = d_transforms.double().cpu().numpy()
    placed = np.concatenate([head_gradient(now.T_camera_head, d[0]), torso_gradient(now.T_camera_torso, d[1])])
    return torch.cat([torch.from_numpy(placed), d_code.double().cpu()]).float()


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
    """Moved in the image by (dx, dy) focal lengths, turned and scaled about the camera's axis."""
    dx, dy, angle, scale = correction
    c, s = np.cos(angle) * np.exp(scale), np.sin(angle) * np.exp(scale)
    return np.array([[c, -s, dx], [s, c, dy], [0.0, 0.0, 1.0]]) @ T


def torso_gradient(T: Float[np.ndarray, "3 4"], d: Float[np.ndarray, "3 4"]) -> Float[np.ndarray, "4"]:
    """Gradient of a further small correction of a torso that is at T, from that of T."""
    p = d @ T.T  # d loss / d of a small linear map applied in camera space
    return np.array([p[0, 2], p[1, 2], p[1, 0] - p[0, 1], p[0, 0] + p[1, 1]])
