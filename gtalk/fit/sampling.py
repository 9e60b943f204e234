"""Which frames a fit looks at: rare mouth shapes and blinks are drawn often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from gtalk.basis import MotionBasis
from gtalk.shapes import Float, Int
from gtalk.types import Motion


@dataclass(frozen=True)
class SamplingConfig:
    """How much more often rare frames are drawn than common ones."""

    RANGES: ClassVar = {"rarity_power": (0, 4), "max_ratio": (1, 1e4), "blink_boost": (0, 100)}

    rarity_power: float = 0.5
    """Frames are drawn in proportion to (mean density / own density) ** power; 0 draws all alike."""
    max_ratio: float = 6.0
    """No frame is drawn more often than this multiple of the mean."""
    blink_boost: float = 2.0
    """Extra factor for a fully closed eye."""


def frame_weights(
    motion: Motion, basis: MotionBasis, indices: Int[np.ndarray, " N"], config: SamplingConfig
) -> Float[np.ndarray, " N"]:
    """Probability of each of the frames `indices`, summing to one.

    Density is a Gaussian kernel estimate over what the leading mouth components (at most four)
    displace, with half the median distance between random pairs as its bandwidth.
    """
    code = basis.encode(motion[indices])[:, basis.groups["mouth"]][:, :4]
    code = code * np.linalg.norm(basis.mouth, axis=(1, 2))[:4]  # metres, so that noise does not look rare
    if len(code) < 3 or code.shape[1] == 0:
        return np.full(len(indices), 1.0 / len(indices))
    sample = code[np.linspace(0, len(code) - 1, min(len(code), 512)).astype(int)]
    squared = ((code[:, None] - sample[None]) ** 2).sum(-1)
    bandwidth = np.median(squared) / 4.0 + 1e-12
    density = np.exp(-squared / (2.0 * bandwidth)).mean(1) + 1e-3
    weights = (density.mean() / density) ** config.rarity_power
    closed = 1.0 - np.clip(motion.eyes[indices].min(1), 0.0, 1.0)
    weights = weights * (1.0 + config.blink_boost * closed)
    weights = np.minimum(weights / weights.mean(), config.max_ratio)
    return weights / weights.sum()


class FrameSampler:
    """Draws frame numbers with given probabilities. All randomness comes from the generator passed in."""

    def __init__(self, indices: Int[np.ndarray, " N"], weights: Float[np.ndarray, " N"]) -> None:
        self.indices = np.asarray(indices)
        self.cumulative = torch.as_tensor(np.cumsum(weights / weights.sum()), dtype=torch.float64)

    def draw(self, count: int, rng: torch.Generator) -> list[int]:
        """`count` frame numbers, with replacement."""
        places = torch.searchsorted(self.cumulative, torch.rand(count, generator=rng, dtype=torch.float64))
        return [int(self.indices[min(int(place), len(self.indices) - 1)]) for place in places]
