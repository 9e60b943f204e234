"""Weights of networks that judge images and that gtalk does not ship: opened by path, safetensors or TorchScript."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from gtalk.errors import UserError


def is_safetensors(path: Path) -> bool:
    """Whether a file is to be read as plain tensors; anything else is taken for TorchScript."""
    return path.suffix.lower() == ".safetensors"


def open_tensors(path: Path, what: str) -> dict[str, torch.Tensor]:
    """Named tensors of a safetensors file, as float32. Raises UserError; `what` names the network in it."""
    try:
        return {name: value.float() for name, value in load_file(path).items()}
    except (OSError, SafetensorError, ValueError) as error:
        raise unusable(path, what, str(error)) from error


def open_script(path: Path, what: str) -> torch.jit.ScriptModule:
    """A TorchScript module, ready to be called. It holds a restricted program: open only files that you trust.

    Raises UserError; `what` names the network in it.
    """
    try:
        return torch.jit.load(str(path), map_location="cpu").eval()
    except (RuntimeError, ValueError, OSError) as error:
        raise unusable(path, what, str(error).strip().splitlines()[0] if str(error).strip() else "nothing") from error


def unusable(path: Path, what: str, got: str) -> UserError:
    """The error for a file that does not hold the network it should."""
    return UserError(
        f"{what} weights {path}",
        expected=f"{what} as .safetensors, or as a TorchScript file",
        got=got,
        remedy="Convert the published weights: layouts are named in gtalk/eval/sync.py and gtalk/ops/lpips.py.",
    )
