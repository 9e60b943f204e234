"""Small corrections of each training frame's tracking, learned with the Gaussians through the image.

Tracking errs by fractions of a pixel from frame to frame; Gaussians that are fitted to such frames as they
are become blurred. Corrections of a frame: head pose (6), torso similarity (4), code (K). Their mean over the
clip is kept at zero, so that tracking and rendering of other frames still agree.

A fit looks at each frame once or twice only: steps that a rate decides would come to nothing. So a visit is one
damped Newton step, whose curvature all frames share (they show the same head at nearly the same size): it is
measured during the fit by moving some frames a little and seeing how their gradients change.

All numbers stay on the fit's device, and what decides is counted on the host: on a GPU nobody waits for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from gtalk.avatar.gaussian import FrameParams
from gtalk.compute.device import sent
from gtalk.shapes import Float, Int

POSE, TORSO, PLACED = slice(0, 6), slice(6, 10), 10
PARTS = {"pose": POSE, "torso": TORSO, "code": slice(PLACED, None)}
LONGEST = 3.0  # expected errors that a step may be long


class Instant(NamedTuple):
    """One training frame, as the Gaussians take it; all on the fit's device."""

    code: Float[torch.Tensor, " K"]
    """Zero mean and unit variance over the clip."""
    transforms: Float[torch.Tensor, "2 3 4"]
    """T_camera_head and T_camera_torso, float64."""
    framing: tuple[float, float, float]
    shift: Float[torch.Tensor, "N 3"] | None = None
    """See `FrameParams`."""

    @classmethod
    def of(cls, now: FrameParams) -> Instant:
        """What an avatar says of a frame."""
        placed = np.stack([now.T_camera_head, now.T_camera_torso]).astype(np.float64)
        return cls(now.code, sent(placed, now.code.device), now.framing)


Slope = Callable[[Instant], torch.Tensor]
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

    def __init__(self, code_size: int, damping: float, device: torch.device | str = "cpu") -> None:
        self.damping = damping
        shapes = {"pose": (6, 6), "torso": (4, 4), "code": (code_size,)}
        self.products = {name: torch.zeros(shape, device=device) for name, shape in shapes.items()}
        self.squares = {name: torch.zeros_like(tensor) for name, tensor in self.products.items()}
        self.count = 0
        self._axes: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    def probe(self, now: Instant, units: Float[torch.Tensor, " C"], slope: Slope) -> None:
        """Move an instant, one group of numbers at a time, and learn from how its gradient changes."""
        name = ("pose", "torso", "pose", "code")[self.count % 4]
        part, step = PARTS[name], torch.zeros(len(units))
        rng = torch.Generator().manual_seed(self.count)  # so that the fit's own draws stay what they are
        step[part] = 0.5 * torch.randn(len(units[part]), generator=rng)
        step = sent(step, units)
        change = (slope(moved(now, step * units)) - slope(now)) * units
        d, g = step[part], change[part]
        product, square = (g * d, d * d) if name == "code" else (torch.outer(g, d), torch.outer(d, d))
        self.products[name].mul_(self.KEPT).add_(product)
        self.squares[name].mul_(self.KEPT).add_(square)
        self.count += 1
        self._axes.clear()

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
            values, axes = self._principal(name)
            usual = values.clamp(min=0.0).mean().clamp(min=1e-12)
            along = -(axes.T @ gradient[part]) / (values.clamp(min=0.0) + self.damping * usual)
            step[part] = axes @ along
        return step.clamp(-LONGEST, LONGEST)

    def _principal(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Curvatures and their axes; found anew after a probe only, since a GPU is waited for in finding them."""
        if name not in self._axes:
            size = len(self.products[name])
            ridge = 1e-3 * torch.eye(size, device=self.squares[name].device) * self.squares[name].trace() / size
            curve = torch.linalg.solve(self.squares[name] + ridge, self.products[name].T)
            values, axes = torch.linalg.eigh(0.5 * (curve + curve.T))
            self._axes[name] = values, axes
        return self._axes[name]

    def state(self) -> dict[str, torch.Tensor]:
        """Everything that changes."""
        sums = {f"products.{n}": t for n, t in self.products.items()} | {
            f"squares.{n}": t for n, t in self.squares.items()
        }
        return {**sums, "probes": torch.tensor(float(self.count))}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Inverse of `state`."""
        for name, tensor in self.products.items():
            tensor.copy_(state[f"products.{name}"])
            self.squares[name].copy_(state[f"squares.{name}"])
        self.count = int(state["probes"])
        self._axes.clear()


class Refinement:
    """A table of corrections and how they are found."""

    def __init__(
        self,
        indices: Int[np.ndarray, " N"],
        code_size: int,
        config: RefineConfig,
        device: torch.device | str = "cpu",
    ) -> None:
        self.config = config
        self.row_of = {int(index): row for row, index in enumerate(indices)}
        self.values = torch.zeros(len(indices), PLACED + code_size, device=device)
        self.visits = torch.zeros(len(indices))  # counted on the host
        self.units = config.units(code_size).to(device)
        self.curvature = Curvature(code_size, config.damping, device)
        self.polled, self.squares = 0, torch.zeros(len(PARTS), device=device)
        self._doubt = torch.tensor([config.doubt, config.doubt, config.code_doubt], device=device)

    def trust(self) -> Float[torch.Tensor, "3"]:
        """Share of the Newton steps of pose, torso and code that is believed."""
        return (1.0 - self._doubt**2 * self.polled / (self.squares + 1e-12)).clamp(min=0.0)

    def wants_probe(self, step: int, progress: float) -> bool:
        """Whether the curvature is to be measured at this step."""
        config = self.config
        if config.gain == 0.0 or progress < 0.5 * config.begin or config.begin > 1.0:
            return False
        known = self.curvature.count >= config.probes
        return step % (config.probe_every if known else 2) == 0

    def apply(self, index: int, now: Instant) -> Instant:
        """The instant with its frame's correction."""
        row = self.row_of[index]
        return moved(now, self.values[row]) if bool(self.visits[row]) else now

    def probe(self, now: Instant, slope: Slope) -> None:
        """Measure curvature at an instant."""
        self.curvature.probe(now, self.units, slope)

    def step(self, index: int, gradient: Float[torch.Tensor, " C"]) -> None:
        """One damped Newton step on a frame's correction. `gradient` is by a further correction of it as drawn."""
        config = self.config
        if self.curvature.count < config.probes:
            return
        row = self.row_of[index]
        newton = self.curvature.newton(gradient * self.units)
        if not bool(self.visits[row]):
            self.polled += 1
            self.squares += torch.stack([newton[part].square().mean() for part in PARTS.values()])
        if self.polled < config.polls:
            return
        self.visits[row] += 1
        for part, trust in zip(PARTS.values(), self.trust(), strict=True):
            newton[part] *= config.gain * trust
        self.values[row] = (1.0 - config.pull) * self.values[row] + self.units * newton.clamp(-2.0, 2.0)
        if int(self.visits.sum()) % 16 == 0:
            self._centre()

    def step_frames(self, indices: Sequence[int], gradients: Float[torch.Tensor, "B C"]) -> None:
        """`step` of several frames that were drawn from the same Gaussians."""
        config = self.config
        if self.curvature.count < config.probes:
            return
        rows = [self.row_of[index] for index in indices]
        newton = torch.vmap(self.curvature.newton)(gradients * self.units)
        first = [not bool(self.visits[row]) for row in rows]
        if any(first):
            squares = torch.stack([newton[:, part].square().mean(1) for part in PARTS.values()])
            self.polled += sum(first)
            self.squares += squares @ sent([float(one) for one in first], squares)
        if self.polled < config.polls:
            return
        before = int(self.visits.sum())
        self.visits[rows] += 1
        for part, trust in zip(PARTS.values(), self.trust(), strict=True):
            newton[:, part] *= config.gain * trust
        there = sent(rows, self.values.device)
        self.values[there] = (1.0 - config.pull) * self.values[there] + self.units * newton.clamp(-2.0, 2.0)
        if int(self.visits.sum()) // 16 > before // 16:
            self._centre()

    def _centre(self) -> None:
        """What all frames share belongs to the Gaussians."""
        seen = self.visits > 0
        shares = sent(seen.float() / seen.sum(), self.values)
        self.values -= (shares > 0)[:, None] * (shares @ self.values)

    def state(self) -> dict[str, torch.Tensor]:
        """Everything that changes."""
        own = {"values": self.values, "visits": self.visits, "polled_squares": self.squares}
        return {**own, "polled": torch.tensor(float(self.polled)), **self.curvature.state()}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Inverse of `state`."""
        self.values.copy_(state["values"])
        self.visits.copy_(state["visits"])
        self.squares.copy_(state["polled_squares"])
        self.polled = int(state["polled"])
        self.curvature.load_state(state)


def moved(now: Instant, correction: Float[torch.Tensor, " C"]) -> Instant:
    """An instant with a correction [10+K]."""
    values = correction.double()
    head = corrected_head(now.transforms[0], values[POSE])
    torso = corrected_torso(now.transforms[1], values[TORSO])
    return now._replace(code=now.code + correction[PLACED:], transforms=torch.stack([head, torso]))


def correction_gradient(
    now: Instant, d_transforms: Float[torch.Tensor, "2 3 4"], d_code: Float[torch.Tensor, " K"]
) -> Float[torch.Tensor, " C"]:
    """Gradient by a further correction of an instant, from those by its transforms and its code."""
    d = d_transforms.double()
    by_head, by_torso = head_gradient(now.transforms[0], d[0]), torso_gradient(now.transforms[1], d[1])
    return torch.cat([by_head, by_torso, d_code.double()]).float()


def moved_frames(
    codes: Float[torch.Tensor, "B K"],
    transforms: Float[torch.Tensor, "B 2 3 4"],
    corrections: Float[torch.Tensor, "B C"],
) -> tuple[Float[torch.Tensor, "B K"], Float[torch.Tensor, "B 2 3 4"]]:
    """`moved` of B instants."""
    values = corrections.double()
    head = torch.vmap(corrected_head)(transforms[:, 0], values[:, POSE])
    torso = torch.vmap(corrected_torso)(transforms[:, 1], values[:, TORSO])
    return codes + corrections[:, PLACED:], torch.stack([head, torso], 1)


def gradients_of(
    transforms: Float[torch.Tensor, "B 2 3 4"],
    d_transforms: Float[torch.Tensor, "B 2 3 4"],
    d_codes: Float[torch.Tensor, "B K"],
) -> Float[torch.Tensor, "B C"]:
    """`correction_gradient` of B instants."""
    d = d_transforms.double()
    by_head = torch.vmap(head_gradient)(transforms[:, 0], d[:, 0])
    by_torso = torch.vmap(torso_gradient)(transforms[:, 1], d[:, 1])
    return torch.cat([by_head, by_torso, d_codes.double()], 1).float()


def turning(w: Float[torch.Tensor, "3"]) -> Float[torch.Tensor, "3 3"]:
    """The rotation by a rotation vector in radians (Rodrigues). No branch, so nothing is read from a GPU."""
    angle, zero = w.norm(), torch.zeros_like(w[0])
    cross = torch.stack([zero, -w[2], w[1], w[2], zero, -w[0], -w[1], w[0], zero]).reshape(3, 3)
    half = torch.sinc(angle / (2.0 * math.pi))
    eye = torch.eye(3, dtype=w.dtype, device=w.device)
    return eye + torch.sinc(angle / math.pi) * cross + 0.5 * half**2 * (cross @ cross)


def corrected_head(T: Float[torch.Tensor, "3 4"], correction: Float[torch.Tensor, "6"]) -> Float[torch.Tensor, "3 4"]:
    """Turned about the head's own origin by a rotation vector of the camera's frame, and shifted (0.1 m)."""
    return torch.cat([turning(correction[:3]) @ T[:, :3], T[:, 3:] + 0.1 * correction[3:, None]], dim=1)


def head_gradient(T: Float[torch.Tensor, "3 4"], d: Float[torch.Tensor, "3 4"]) -> Float[torch.Tensor, "6"]:
    """Gradient of a further small correction of a head that is at T, from that of T."""
    product = d[:, :3] @ T[:, :3].T
    turn = torch.stack([product[2, 1] - product[1, 2], product[0, 2] - product[2, 0], product[1, 0] - product[0, 1]])
    return torch.cat([turn, 0.1 * d[:, 3]])


def corrected_torso(T: Float[torch.Tensor, "3 4"], correction: Float[torch.Tensor, "4"]) -> Float[torch.Tensor, "3 4"]:
    """Moved in the image by (dx, dy) focal lengths, turned and scaled about the camera's axis."""
    dx, dy, angle, scale = correction.unbind()
    c, s, zero = torch.cos(angle) * torch.exp(scale), torch.sin(angle) * torch.exp(scale), torch.zeros_like(dx)
    return torch.stack([c, -s, dx, s, c, dy, zero, zero, zero + 1.0]).reshape(3, 3) @ T


def torso_gradient(T: Float[torch.Tensor, "3 4"], d: Float[torch.Tensor, "3 4"]) -> Float[torch.Tensor, "4"]:
    """Gradient of a further small correction of a torso that is at T, from that of T."""
    p = d @ T.T  # d loss / d of a small linear map applied in camera space
    return torch.stack([p[0, 2], p[1, 2], p[1, 0] - p[0, 1], p[0, 0] + p[1, 1]])
