"""What can be chosen about an evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gtalk.device import Device


@dataclass(frozen=True)
class EvalConfig:
    """What is measured."""

    max_frames: int | None = None
    """Score at most so many held-out frames, evenly spread; all by default."""
    voices: bool = False
    """Also drive the lips by synthetic voices in nine languages whose phones are known (extra `speech`)."""
    seed: int = 0
    """Chooses the head motion that the motion model adds."""
    device: Device = "auto"
    """Where images are drawn. auto: on a GPU where there is one."""
    lpips: Path | None = None
    """Weights of LPIPS, safetensors or TorchScript: adds a perceptual distance."""
    syncnet: Path | None = None
    """Weights of SyncNet, safetensors or TorchScript: adds its confidence and distance."""
