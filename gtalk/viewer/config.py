"""Options of the live view."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class ViewConfig:
    """Where the live view listens and what it starts with."""

    host: str = "127.0.0.1"
    """Address to listen on. Any other than loopback asks visitors for a token, printed once."""
    port: int = 8080
    """Port of the page, the view and the microphone; 0 picks a free one."""
    mic: Literal["browser", "local", "off"] = "browser"
    """browser: the visitor's microphone. local: this machine's sound card (extra `live`). off: files only."""
    size: int = 512
    """Height of the picture in pixels."""
    seed: int = 0
    """Chooses head motion, gaze and blinks."""
    jpeg_quality: int = 85
    """Quality of the pictures sent to the page."""
    tls_cert: Path | None = None
    """Certificate (PEM) for https; browsers give the microphone only to https or localhost."""
    tls_key: Path | None = None
    """Its private key (PEM)."""
    token: str | None = None
    """The token to ask for; a fresh one by default. Never asked for on loopback unless given here."""
