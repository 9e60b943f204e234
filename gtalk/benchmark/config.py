"""What is measured in a benchmark."""

from __future__ import annotations

from dataclasses import dataclass

from gtalk.errors import UserError
from gtalk.making.train import Preset


@dataclass(frozen=True)
class BenchmarkConfig:
    """What is measured, and how avatars are made for it."""

    renderers: tuple[str, ...] = ("gaussian",)
    """gaussian, radiance, or both."""
    preset: Preset = "auto"
    """As of `gtalk train`."""
    device: str = "auto"
    """Where avatars are fitted and drawn: auto, cpu or cuda."""

    def __post_init__(self) -> None:
        for name in self.renderers or ("",):
            if name not in ("gaussian", "radiance"):
                raise UserError("--renderers", expected="gaussian, radiance or both", got=name or "none",
                                remedy="Leave it out for gaussian.")  # fmt: skip
