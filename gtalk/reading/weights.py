"""Weights of networks that judge images and that gtalk does not ship: opened by path, as safetensors."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from gtalk.errors import UserError


def open_tensors(path: Path, what: str) -> dict[str, torch.Tensor]:
    """Named tensors of a safetensors file, as float32. Raises UserError; `what` names the network in it."""
    try:
        return {name: value.float() for name, value in load_file(path).items()}
    except (OSError, SafetensorError, ValueError) as error:
        raise unusable(path, what, str(error)) from error


def unusable(path: Path, what: str, got: str) -> UserError:
    """The error for a file that does not hold the network it should."""
    return UserError(
        f"{what} weights {path}",
        expected=f"{what} as .safetensors",
        got=got,
        remedy="Convert the published weights: layouts are named in gtalk/eval/sync.py and gtalk/ops/lpips.py.",
    )
