"""How wide the mouth opens: regression mumbles, so its codes are stretched about the mean mouth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from gtalk.basis import MotionBasis
from gtalk.motion.face import signed_aperture
from gtalk.motion.fit_net import predict
from gtalk.motion.net import MotionNet
from gtalk.motion.takes import Take

MAX_GAIN = 1.4


def opening_gain(net: MotionNet, validation: Sequence[Take], basis: MotionBasis, amplitude: float) -> float:
    """Factor that gives the mouth's opening `amplitude` times the true spread on frames that were held back."""
    pairs = [(predict(net, take.rows, len(take.codes))[take.usable], take.codes[take.usable]) for take in validation]
    guessed, true = (np.concatenate(part) for part in zip(*pairs, strict=True))
    spread = _opening(guessed, basis).std() / max(float(_opening(true, basis).std()), 1e-9)
    return float(np.clip(amplitude / max(float(spread), 1e-9), 1.0, MAX_GAIN))


def stretch(net: MotionNet, n_mouth: int, gain: float) -> None:
    """Make the network's first `n_mouth` outputs `gain` times as large."""
    assert net.out.bias is not None
    with torch.no_grad():
        net.out.weight[:n_mouth] *= gain
        net.out.bias[:n_mouth] *= gain


def _opening(codes: np.ndarray, basis: MotionBasis) -> np.ndarray:
    full = np.zeros((len(codes), basis.size))
    full[:, basis.groups["mouth"]] = codes[:, : len(basis.mouth)]
    return signed_aperture(basis.decode(full))
