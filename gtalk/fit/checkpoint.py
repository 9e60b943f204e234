"""Checkpoints of a fit: one safetensors file, tensors and counters together, whole or absent."""

from __future__ import annotations

import json
from dataclasses import asdict, astuple, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from gtalk.errors import UserError
from gtalk.files import atomic_path
from gtalk.reading.untrusted import parse_json

CHECKPOINT_VERSION = 1


@dataclass
class TrainerState:
    """The trainer's own counters."""

    fingerprint: str
    """Hash of dataset, configs and seed: a checkpoint of anything else is not resumed."""
    step: int = 0
    elapsed_s: float = 0.0
    rollbacks: int = 0
    squared_error: float = 0.0
    """Running mean of the squared colour error."""
    loss: float = 0.0
    """Running mean of the loss."""
    best_held_out: float = 0.0
    stale: int = 0
    """Held-out checks since the best one."""


_USUAL = astuple(TrainerState(""))


def save_checkpoint(path: Path, tensors: dict[str, torch.Tensor], rng: torch.Tensor, state: TrainerState) -> None:
    """Write model tensors, the generator's state and the counters, atomically."""
    metadata = {"version": str(CHECKPOINT_VERSION), "trainer": json.dumps(asdict(state))}
    stored = {f"model.{name}": value.detach().cpu().contiguous() for name, value in tensors.items()}
    with atomic_path(path) as temporary:
        save_file({**stored, "rng": rng}, str(temporary), metadata=metadata)


def load_checkpoint(path: Path) -> tuple[dict[str, torch.Tensor], torch.Tensor, TrainerState]:
    """Inverse of `save_checkpoint`. Raises UserError when the file is damaged or newer."""
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            version = int(metadata["version"])
            if version > CHECKPOINT_VERSION:
                raise ValueError(f"version {version}")
            state = TrainerState(**parse_json(metadata["trainer"]))
            if not all(type(value) is type(usual) for value, usual in zip(astuple(state), _USUAL, strict=True)):
                raise ValueError("counters that are no numbers")
            if min(state.step, state.rollbacks, state.stale) < 0:
                raise ValueError(f"step {state.step}")
            tensors = {n.removeprefix("model."): file.get_tensor(n) for n in file.keys() if n != "rng"}  # noqa: SIM118
            return tensors, file.get_tensor("rng"), state
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise UserError(
            f"checkpoint {path}",
            expected=f"a whole gtalk checkpoint of version <= {CHECKPOINT_VERSION}",
            got=f"{type(error).__name__}: {error}",
            remedy="Update gtalk if a newer one wrote it; or fit from the start with --restart.",
        ) from error
