"""How many samples a step's rays get, decided before they are counted: a GPU's count is read some steps later."""

from __future__ import annotations

from gtalk.avatar.head import HeadConfig

SPARE = 1.3  # of the most that was seen
ROUNDED_TO = 4096  # few sizes, so that memory is found again


class SampleBudget:
    """Follows what steps used. Where that did not suffice, the next ones get twice as many."""

    def __init__(self, rays: int, config: HeadConfig) -> None:
        """`rays` of a step; at first they get all that they could use."""
        self.most = _rounded(rays * config.max_samples)
        self.samples = self.most

    def learn(self, used: int | float) -> None:
        """A step took so many."""
        wanted = 2 * self.samples if used >= self.samples else _rounded(SPARE * used)
        # Slowly down: images differ, and a step that is cut costs more than some zeros.
        self.samples = min(self.most, max(wanted, _rounded(0.9 * self.samples)))


def _rounded(samples: int | float) -> int:
    return (int(samples) // ROUNDED_TO + 1) * ROUNDED_TO
