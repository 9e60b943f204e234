"""What a fit tells whoever listens. The trainer yields these; progress bars and viewers consume them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gtalk.avatar.base import Avatar
from gtalk.shapes import UInt8


@dataclass(frozen=True)
class StartEvent:
    """A fit begins; the first event."""

    backend: str
    """What its operators run on, in words."""


@dataclass(frozen=True)
class StepEvent:
    """A training step is done. Yielded every `TrainerConfig.report_every` steps."""

    step: int
    total_steps: int
    loss: float
    psnr: float
    """Running training PSNR in dB."""
    elapsed_s: float
    """Seconds of fitting so far, earlier runs of a resumed fit included."""
    terms: dict[str, float] = field(default_factory=dict)
    """The loss's parts, by name."""


@dataclass(frozen=True)
class PreviewEvent:
    """A training frame beside the avatar's image of it."""

    truth: UInt8[np.ndarray, "H W 3"]
    render: UInt8[np.ndarray, "H W 3"]
    step: int = 0


@dataclass(frozen=True)
class CheckpointEvent:
    """Everything needed to go on from `step` is on disk."""

    path: Path
    step: int


@dataclass(frozen=True)
class RollbackEvent:
    """The loss was not finite or exploded: the fit goes on from the last good checkpoint, more slowly."""

    step: int
    back_to: int
    reason: str


@dataclass(frozen=True)
class DoneEvent:
    """The fit is finished."""

    avatar: Avatar
    metrics: dict[str, float]
    """`fit_s`, `steps`, `train_psnr`, and `held_out_psnr` where a block was held out."""


FitEvent = StartEvent | StepEvent | PreviewEvent | CheckpointEvent | RollbackEvent | DoneEvent
