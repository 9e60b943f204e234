"""A model with three numbers, the image's mean colour, to test the trainer apart from any renderer."""

from __future__ import annotations

import numpy as np
import torch

from gtalk.avatar.base import PLATE
from gtalk.fit.protocol import FitContext, StepResult
from gtalk.types import RenderOutput


class ToyAvatar:
    kind = "toy"
    device = torch.device("cpu")

    def to(self, device):
        return self

    def __init__(self, context: FitContext, colour: torch.Tensor) -> None:
        self.basis, self.camera, self.fps = context.basis, context.camera, context.dataset.fps
        self.colour = colour.detach().clone()

    def render(self, motion, camera=None, size=None, background=PLATE):
        width, height = size or (self.camera.width, self.camera.height)
        rgb = self.colour.expand(len(motion), height, width, 3)
        ones = torch.ones(len(motion), height, width)
        return RenderOutput(rgb, ones, ones)

    def tensors(self):
        return {"colour": self.colour}


class ToyModel:
    """Momentum descent on the mean colour with noise from the trainer's generator; can be told to break."""

    kind = "toy"
    learns_faces = True

    def __init__(self, break_at: set[int] | None = None) -> None:
        self.break_at, self.calls = break_at or set(), 0
        self.seen: list[int] = []

    def prepare(self, context: FitContext) -> None:
        self.context = context
        self.colour, self.velocity = torch.zeros(3), torch.zeros(3)
        self.factor = torch.ones(())

    def train_step(self, frames, progress: float, rng: torch.Generator) -> StepResult:
        assert 0.0 <= progress < 1.0
        self.calls += 1
        self.seen += [frame.index for frame in frames]
        truth = torch.from_numpy(np.stack([f.rgb for f in frames]).astype(np.float32) / 255.0).mean((0, 1, 2))
        gradient = self.colour - truth + 0.01 * torch.randn(3, generator=rng)
        self.velocity = 0.5 * self.velocity + gradient
        self.colour = self.colour - 0.1 * self.factor * self.velocity
        error = float(((self.colour - truth) ** 2).mean())
        loss = float("nan") if self.calls in self.break_at else error
        if self.calls in self.break_at:
            self.colour = self.colour * float("nan")
        return StepResult(loss, error, {"l2": error})

    def state(self):
        return {"colour": self.colour, "velocity": self.velocity, "factor": self.factor}

    def load_state(self, state) -> None:
        self.colour, self.velocity, self.factor = (state[n].clone() for n in ("colour", "velocity", "factor"))

    def slow_down(self, factor: float) -> None:
        self.factor = self.factor * factor

    def avatar(self) -> ToyAvatar:
        return ToyAvatar(self.context, self.colour)

    def config_mapping(self):
        return {}
