"""What `gtalk view` is told of outlets."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from gtalk.errors import UserError

PUSH_SCHEMES = ("rtmp", "rtmps", "srt")
TOKEN_NAME = "GTALK_WHIP_TOKEN"


@dataclass(frozen=True)
class OutConfig:
    """Where picture and sound go beside the page."""

    whip: str | None = None
    """WHIP address of a media server; token: $GTALK_WHIP_TOKEN."""
    push_out: str | None = None
    """rtmp://HOST/APP/KEY, rtmps:// or srt://: H.264 and AAC."""
    camera: Path | None = None
    """A v4l2loopback device, such as /dev/video9, for calls."""
    speaker: str | None = None
    """Part of a sound device's name, or `default`: it plays."""

    def __post_init__(self) -> None:
        for name, url, schemes in (
            ("--whip", self.whip, ("https", "http")),
            ("--push-out", self.push_out, PUSH_SCHEMES),
        ):
            if url is not None and not _is_url(url, schemes):
                raise UserError(name, expected=" or ".join(f"{scheme}://..." for scheme in schemes),
                                got=repr(place_of(url)), remedy="Write the server's address so.")  # fmt: skip

    @property
    def whip_token(self) -> str | None:
        """What the WHIP server asks for; kept out of the command line, which everybody on the machine sees."""
        return os.environ.get(TOKEN_NAME)


def place_of(url: str) -> str:
    """Scheme and host alone: the rest of such addresses is a key."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return url[:12]
    if not parts.scheme or not host:
        return url[:12]
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "")


def _is_url(url: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname)
