"""Options of `gtalk serve`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gtalk.errors import UserError
from gtalk.viewer.webrtc.ice import ice_servers


@dataclass(frozen=True)
class ServeConfig:
    """Where the server listens, whom it serves, and how much."""

    host: str = "127.0.0.1"
    """Address to listen on. Any other than loopback asks for a key."""
    port: int = 8090
    """Port; 0 picks a free one."""
    keys: Path | None = None
    """A file of keys, a line each: the key and, after a space, whose it is. Programs show one as `Authorization: Bearer
    KEY`, and see their own jobs only. Off loopback a key is made and printed where none is given."""
    jobs: Path = Path("gtalk-serve")
    """Folder of uploads, jobs and results. A server that is started again goes on with the jobs that wait there."""
    workers: int | None = None
    """Processes that render; by default one a core."""
    most_upload_mb: int = 500
    """Largest file that is taken."""
    most_waiting: int = 100
    """Jobs of one key that may wait."""
    keep_days: float = 7.0
    """Results and uploads are deleted after so long."""
    most_live: int = 4
    """Conversations on live pages (/live/NAME/) at once; 0 for none."""
    draw: Literal["auto", "browser", "server"] = "auto"
    """Who draws live pages. browser: the visitor's own, which is given the avatar for that. auto: the browser where it
    draws fast enough. server: always here."""
    ice: tuple[str, ...] = ()
    """Servers that help WebRTC of live pages through routers: stun:HOST:PORT, turn:USER:PASSWORD@HOST:PORT."""
    root: str = ""
    """Path under which a proxy shows the server, such as /gtalk: links begin with it. X-Forwarded-Prefix tells too."""

    def __post_init__(self) -> None:
        for name, value, (low, high) in (
            ("--port", self.port, (0, 65_535)),
            ("--most-upload-mb", self.most_upload_mb, (1, 100_000)),
            ("--most-waiting", self.most_waiting, (1, 100_000)),
            ("--most-live", self.most_live, (0, 1000)),
            ("--keep-days", self.keep_days, (0.001, 36_500)),
            ("--workers", 1 if self.workers is None else self.workers, (1, 1024)),
        ):
            if not low <= value <= high:
                raise UserError(name, expected=f"{low} to {high}", got=str(value), remedy="Choose one of these.")
        ice_servers(self.ice)
        if self.root and (not self.root.startswith("/") or self.root.endswith("/")):
            raise UserError("--root", expected="a path such as /gtalk", got=self.root, remedy="Begin it with /.")


def read_keys(path: Path) -> dict[str, str]:
    """Keys of a file and whose each is. Raises UserError for a file that holds none, or one that is easily guessed."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"--keys {path}", expected="a readable text file", got=str(error),
                        remedy="Check the path.") from error  # fmt: skip
    keys: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        key, _, name = line.strip().partition(" ")
        if not key or key.startswith("#"):
            continue
        if len(key) < 16:
            raise UserError(f"--keys {path}, line {number}", expected="a key of at least 16 characters",
                            got=f"{len(key)}", remedy="openssl rand -hex 16 makes one.")  # fmt: skip
        keys[key] = name.strip() or f"line {number}"
    if not keys:
        raise UserError(f"--keys {path}", expected="a key a line", got="none", remedy="openssl rand -hex 16 makes one.")
    return keys
