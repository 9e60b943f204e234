"""Schedules over the progress of a fit (0 at its start, 1 at its end), never over step numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LearningRate:
    """Linear warm-up, then exponential decay."""

    start: float
    """Learning rate after warm-up."""
    final_factor: float = 0.03
    """Learning rate at the end, as a factor of `start`."""
    warmup: float = 0.01
    """Share of the fit over which the rate rises from a tenth to `start`."""

    def at(self, progress: float) -> float:
        """Rate at a progress in [0, 1]."""
        rising = 1.0 if self.warmup <= 0 else min(1.0, 0.1 + 0.9 * progress / self.warmup)
        return self.start * rising * self.final_factor ** min(max(progress, 0.0), 1.0)
