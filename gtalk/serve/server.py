"""`gtalk serve`: the port, the queue and the live pages put together."""

from __future__ import annotations

import logging
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gtalk.dub.batch.worker import Load
from gtalk.errors import UserError
from gtalk.files import require_writable_folder, try_lock
from gtalk.hosting.budget import QuietLog
from gtalk.hosting.ending import wait_until_ended
from gtalk.hosting.gate import guest_secret, is_loopback
from gtalk.hosting.host import Host, port_taken
from gtalk.serve.config import ServeConfig, read_keys
from gtalk.serve.endpoints import Server
from gtalk.serve.live import LivePages, guests_of
from gtalk.serve.queue import Orders
from gtalk.serve.shelf import Uploads, avatars_of
from gtalk.talk import load_character

_DAY_S = 86_400.0
_COOKIE = "gtalk"  # other servers of gtalk on this machine have another, and ports share them


class Serving:
    """Everything behind the server's port. `start` returns when clients are welcome; `stop` ends it all."""

    def __init__(self, folders: Sequence[Path], config: ServeConfig, load: Load = load_character) -> None:
        self.config, self._avatars = config, avatars_of(folders)
        keys = {} if config.keys is None else read_keys(config.keys)
        self.token = secrets.token_urlsafe(18) if not keys and not is_loopback(config.host) else None
        config.jobs.mkdir(parents=True, exist_ok=True)
        require_writable_folder(config.jobs)
        self.orders = Orders(config.jobs.resolve(), config.workers, config.keep_days * _DAY_S, load)
        uploads = Uploads(config.jobs.resolve() / "files", config.most_upload_mb * 1_000_000)
        shown = {**keys, **({self.token: ""} if self.token else {})}
        report = QuietLog(_report)
        self.live = LivePages(self._avatars, config, " ".join(sorted(shown)), report, load)
        server = Server(self._avatars, self.orders, uploads, config, _guest(shown), self.live)
        self._host = Host(
            [*server.routes(), *self.live.routes()], config.host, token=self.token, keys=keys, key=self.live.key,
            report=report, cookie=_COOKIE, guests=guests_of(shown, self._avatars), root=config.root,
            open_paths=("/health",), lifespan=self.live.lifespan,
        )  # fmt: skip

    @property
    def url(self) -> str:
        """Address of the page that explains the rest."""
        return self._host.url

    def start(self) -> None:
        """Open the port and go on with what waits. Raises UserError when the port or the folder is taken."""
        release = try_lock(self.config.jobs / ".lock")
        if release is None:
            raise UserError(f"--jobs {self.config.jobs}", expected="a folder of its own", got="another server's",
                            remedy="Give another folder, or stop that server.")  # fmt: skip
        self._release = release
        try:
            self._host.start(self.config.port)
        except OSError as error:
            release()
            raise port_taken(self.config.port, self.config.host, error) from error
        self.orders.start()

    def stop(self) -> None:
        """Close the port, finish recordings, end the workers; what was under way goes on at the next start."""
        self._host.stop()
        self.orders.stop()
        self._release()


def _guest(keys: Mapping[str, str]) -> Callable[[str, str], str]:
    """Gives a client's guests their secret for a place; none where nobody is asked."""
    of_whom = {whose: key for key, whose in keys.items()}
    return lambda whose, place: guest_secret(of_whom[whose], place) if whose in of_whom else ""


def serve(folders: Sequence[Path], config: ServeConfig) -> None:
    """Serve avatars until told to end."""
    serving = Serving(folders, config)
    serving.start()
    _report(f"open {serving.url}   (Ctrl-C ends)")
    try:
        wait_until_ended(_report)
    finally:
        serving.stop()


def _report(line: str) -> None:
    logging.getLogger("gtalk.serve").info(line)
    sys.stderr.write(f"gtalk serve: {line}\n")
