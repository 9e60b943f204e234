"""Options of the studio."""

from __future__ import annotations

from dataclasses import dataclass

from gtalk.compute.device import Device
from gtalk.errors import UserError


@dataclass(frozen=True)
class StudioConfig:
    """Where the studio listens and how it makes avatars."""

    host: str = "127.0.0.1"
    """Address to listen on. Any other than loopback asks visitors for a token."""
    port: int = 8090
    """Port of the page; 0 picks a free one. A phone that is let in has one of its own."""
    device: Device = "auto"
    """Where avatars are made and drawn. auto: on a GPU where there is one."""
    size: int = 512
    """Height of the live picture in pixels."""

    def __post_init__(self) -> None:
        for name, value, (low, high) in (("--port", self.port, (0, 65_535)), ("--size", self.size, (16, 4096))):
            if not low <= value <= high:
                raise UserError(name, expected=f"{low} to {high}", got=str(value), remedy="Choose one of these.")
