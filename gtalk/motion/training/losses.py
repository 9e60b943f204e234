"""What a predicted mouth is punished for. All terms are in units of the person's own lip movement."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch.nn import functional as F

from gtalk.basis import JAW, MOUTH_GROUP, MotionBasis
from gtalk.motion.model.amplitude import opening_of_codes
from gtalk.motion.training.sync_expert import ExpertConfig
from gtalk.shapes import Bool, Float


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms of the loss."""

    jaw: float = 0.3
    """Of jaw landmarks, relative to lips."""
    depth: float = 0.3
    """Of the direction out of the face, which is tracked least exactly."""
    velocity: float = 2.0
    """Of the difference from frame to frame."""
    laplacian: float = 1.0
    """Of the second difference in time."""
    amplitude: float = 0.1
    """Of a spread over time that differs from the truth's."""
    brows: float = 0.1
    """Of the brows, in their own standard deviations."""
    robust: float = 0.3
    """Distance beyond which an error counts linearly rather than squared, in the person's own lip movement."""
    sync: float = 1.0
    """Of a judge, learned from the clip, that looks for the instant at which these lips belong to the sound."""
    expert: ExpertConfig = field(default_factory=ExpertConfig)
    """The judge."""
    closure: float = 0.1
    """Of the opening at instants at which the lips are briefly shut amid speech."""


SHUT_SHARE, NEAR_FRAMES = 0.25, 4  # shut: below this share of the widest opening within so many frames


class MotionLoss:
    """Loss of codes [mouth (Km), brows (2)] against the truth."""

    def __init__(self, basis: MotionBasis, config: LossConfig) -> None:
        self.config = config
        self.n_mouth = len(basis.mouth)
        weight = np.where(np.isin(MOUTH_GROUP, JAW), config.jaw, 1.0)[:, None] * [1.0, 1.0, config.depth]
        table = (basis.mouth * weight).reshape(self.n_mouth, -1)
        unit = np.sqrt((basis.mouth[:, len(JAW) :, :2] ** 2).sum((0, 2)).mean())
        self.table = torch.as_tensor(table / unit, dtype=torch.float32)
        at_rest, per_code = opening_of_codes(basis)
        self._spread_m = float(np.linalg.norm(per_code))
        self._at_rest, self._per_code = at_rest / self._spread_m, torch.as_tensor(per_code / self._spread_m).float()

    def __call__(
        self,
        predicted: Float[torch.Tensor, "B T K"],
        truth: Float[torch.Tensor, "B T K"],
        usable: Bool[torch.Tensor, "B T"],
    ) -> dict[str, torch.Tensor]:
        """Weighted terms by name; their sum is the loss. Frames that are not usable count in none."""
        config, error = self.config, predicted - truth
        pair = usable[:, 1:] & usable[:, :-1]
        triple = pair[:, 1:] & pair[:, :-1]
        step = error[:, 1:] - error[:, :-1]
        terms = {
            "landmarks": self._distance(error, usable),
            "velocity": config.velocity * self._distance(step, pair),
            "laplacian": config.laplacian * self._distance(step[:, 1:] - step[:, :-1], triple),
            "brows": config.brows * _masked_mean((error[..., self.n_mouth :] ** 2).mean(-1), usable),
        }
        if config.amplitude:
            spread, wanted = (self._spread(codes, usable) for codes in (predicted, truth))
            terms["amplitude"] = config.amplitude * ((spread - wanted) ** 2).mean()
        if config.closure:
            terms["closure"] = config.closure * self._closure(predicted, truth, usable)
        return terms

    def _closure(self, predicted: torch.Tensor, truth: torch.Tensor, usable: torch.Tensor) -> torch.Tensor:
        """Error of the opening, in its own spread, where the lips are briefly shut amid speech."""
        opened, wanted = (codes[..., : self.n_mouth] @ self._per_code.to(codes) for codes in (predicted, truth))
        level = wanted + self._at_rest
        widest = F.max_pool1d(level[:, None], 2 * NEAR_FRAMES + 1, 1, NEAR_FRAMES)[:, 0]
        shut = (level < SHUT_SHARE * widest) & (widest > 1.0) & usable
        c = self.config.robust
        return _masked_mean(torch.sqrt((opened - wanted) ** 2 + c * c) - c, shut)

    def _distance(self, error: torch.Tensor, usable: torch.Tensor) -> torch.Tensor:
        """Mean of a landmark's displacement d, as sqrt(d^2 + c^2) - c: close to what is measured, smooth at 0."""
        moved = (error[..., : self.n_mouth] @ self.table.to(error)).unflatten(-1, (-1, 3))
        c = self.config.robust
        return _masked_mean((torch.sqrt((moved**2).sum(-1) + c * c) - c).mean(-1), usable)

    def _spread(self, codes: torch.Tensor, usable: torch.Tensor) -> torch.Tensor:
        """[K] standard deviation over all usable frames of the batch."""
        return codes[..., : self.n_mouth][usable].std(0)


def _masked_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return (values * mask).sum() / mask.sum().clamp(min=1)
