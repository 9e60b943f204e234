"""How wide the mouth opens: regression mumbles, so its codes are stretched about the mean mouth."""

from __future__ import annotations

import numpy as np
import torch

from gtalk.basis import MotionBasis, mouth_aperture
from gtalk.motion.model.net import MotionNet
from gtalk.shapes import Float

MAX_GAIN = 1.4


def opening_gain(
    predicted: Float[np.ndarray, "T Km"], true: Float[np.ndarray, "T Km"], basis: MotionBasis, amplitude: float
) -> float:
    """Factor that gives the mouth's opening `amplitude` times the true spread.

    Args:
        predicted: mouth codes of frames that were not learned from, as the gate lets them through.
        true: the person's own.
        basis: the person's.
        amplitude: wanted spread over the true one.
    """
    _, per_code = opening_of_codes(basis)
    spread = (predicted @ per_code).std() / max(float((true @ per_code).std()), 1e-9)
    return float(np.clip(amplitude / max(float(spread), 1e-9), 1.0, MAX_GAIN))


def stretch(net: MotionNet, n_mouth: int, gain: float) -> None:
    """Make the network's first `n_mouth` outputs `gain` times as large."""
    assert net.out.bias is not None
    with torch.no_grad():
        net.out.weight[:n_mouth] *= gain
        net.out.bias[:n_mouth] *= gain


def opening_of_codes(basis: MotionBasis) -> tuple[float, Float[np.ndarray, " Km"]]:
    """(opening of the mean face, what one unit of each mouth code adds to it), metres."""
    codes = np.zeros((1 + len(basis.mouth), basis.size))
    codes[1:, basis.groups["mouth"]] = np.eye(len(basis.mouth))
    opening = mouth_aperture(basis.decode(codes))
    return float(opening[0]), opening[1:] - opening[0]
