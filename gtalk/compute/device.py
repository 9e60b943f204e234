"""Where tensors are computed: one word, resolved once."""

from __future__ import annotations

import difflib
from typing import Literal

import torch

from gtalk.errors import UserError

Device = Literal["auto", "cpu", "cuda"]
"""auto: a GPU where there is one."""
_KNOWN = ("auto", "cpu", "cuda")


def resolve_device(wanted: str) -> torch.device:
    """auto, cpu, cuda or cuda:N, as a device. Raises UserError for another word, or a device that is not there."""
    name, _, number = wanted.partition(":")
    if name not in _KNOWN or (number and (name != "cuda" or not number.isdecimal())):
        meant = "cuda" if wanted.lower() == "gpu" else wanted.lower()  # the nearest by letters would be cpu
        near = difflib.get_close_matches(meant, _KNOWN, n=1, cutoff=0.4)
        remedy = f"Did you mean `{near[0]}`?" if near else "`auto` takes a GPU where there is one."
        raise UserError("device", expected=f"one of: {', '.join(_KNOWN)}", got=wanted, remedy=remedy)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda" if count else "cpu")
    if name == "cuda" and int(number or 0) >= count:
        got = f"{count} on this machine" if count else "none on this machine, or a torch without CUDA"
        raise UserError(f"device {wanted}", expected="a CUDA device that is there", got=got,
                        remedy="Use `cpu`, or `auto`, which takes a GPU where there is one.")  # fmt: skip
    return torch.device(wanted)
