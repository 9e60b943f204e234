"""Networks in files that strangers send: bounded settings, finite numbers, shapes checked before memory is taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from gtalk.config import from_mapping
from gtalk.motion.model.net import MotionNet, NetConfig
from gtalk.motion.model.readout import AHEAD_ROWS, N_HEARD, Readout, Readouts, taps
from gtalk.reading.untrusted import check_numbers
from gtalk.speech.student import load_student

_LARGEST_OPTION = 4096.0  # no number of a network's config is larger
FORMER_PARTS = ("styled.", "recognise.")
"""Parts of older networks that a model which talks by itself never used; they are passed over."""
_FORMER = {"style"}  # options of older files, without effect on how a model talks by itself
_MOST_FUTURE_ROWS, _MOST_BLOCKS, _LONGEST_DILATIONS = 64, 32, 256


def net_config_of(settings: Any) -> NetConfig:
    """The config that a file names. Raises ValueError or UserError when it is none or out of bounds."""
    check_numbers(settings, _LARGEST_OPTION, "net")
    config = from_mapping(NetConfig, {name: value for name, value in settings.items() if name not in _FORMER}, "net")
    if (
        not 0 <= config.future_rows <= _MOST_FUTURE_ROWS
        or len(config.dilations) > _MOST_BLOCKS
        or sum(config.dilations) > _LONGEST_DILATIONS
    ):
        raise ValueError(f"future_rows {config.future_rows}, dilations {config.dilations}")
    return config


def hollow_net(n_in: int, n_out: int, config: NetConfig) -> MotionNet:
    """A network without memory: shapes only, to be compared with tensors or filled with them."""
    with torch.device("meta"):
        return MotionNet(n_in, n_out, config)


def check_finite(arrays: Mapping[str, np.ndarray]) -> None:
    """Raise ValueError when a number is none."""
    for name, value in arrays.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise ValueError(f"{name} is not finite")


def readout_arrays(readouts: Readouts | None) -> dict[str, np.ndarray]:
    """What `readouts_of` reads."""
    if readouts is None:
        return {}
    both = {"dubbed": readouts.dubbed, "live": readouts.live}
    tables = {f"readout.{name}.table": one.table.astype(np.float32) for name, one in both.items()}
    return tables | {f"readout.{name}.bias": one.bias for name, one in both.items()}


def readouts_of(settings: Any, arrays: Mapping[str, np.ndarray], n_mouth: int, config: NetConfig) -> Readouts | None:
    """As stored: [name of the ears, share]. None where there are none, or where they were learned with other ears.

    Raises ValueError for tables that do not fit.
    """
    if settings is None:
        return None
    ears, share = settings
    if not 0.0 < float(share) <= 1.0:
        raise ValueError(f"readouts of a share of {share}")
    if ears != load_student().name:
        return None  # the network does without
    found = {}
    for name, ahead_rows in (("dubbed", AHEAD_ROWS), ("live", config.future_rows)):
        table, bias = arrays[f"{name}.table"], arrays[f"{name}.bias"]
        if table.shape != (len(taps(ahead_rows)) * N_HEARD, n_mouth) or bias.shape != (n_mouth,):
            raise ValueError(f"a readout of shape {table.shape}")
        found[name] = Readout(ahead_rows, table.astype(np.float64), bias.astype(np.float64))
    return Readouts(float(share), **found)
