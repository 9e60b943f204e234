"""`gtalk serve`: the port, the queue and the live pages put together."""

from __future__ import annotations

import logging
import secrets
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from gtalk.compute.threads import compute_on
from gtalk.dub.batch.worker import Load
from gtalk.errors import UserError
from gtalk.files import require_writable_folder, try_lock
from gtalk.hosting.budget import QuietLog
from gtalk.hosting.ending import wait_until_ended
from gtalk.hosting.gate import is_loopback
from gtalk.hosting.host import Host, port_taken
from gtalk.serve.config import ServeConfig, read_keys
from gtalk.serve.endpoints import Server
from gtalk.serve.queue import Orders
from gtalk.serve.shelf import Uploads, avatars_of
from gtalk.talk import load_character
from gtalk.viewer.config import ViewConfig
from gtalk.viewer.server import LiveServer, cast_of, drawing_threads

_DAY_S = 86_400.0
_COOKIE = "gtalk"  # live pages have one of their own, and ports share them
MOST_LIVE = 4
"""Live pages of avatars at once."""


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
        server = Server(self._avatars, self.orders, uploads, config, self._open_live)
        self._host = Host(
            server.routes(), config.host, token=self.token, keys=keys, report=QuietLog(_report), cookie="gtalk"
        )
        self._live: dict[str, LiveServer] = {}
        self._lock = threading.Lock()

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
        """Close the ports, finish recordings, end the workers; what was under way goes on at the next start."""
        self._host.stop()
        for live in self._live.values():
            live.stop()
        self.orders.stop()
        self._release()

    def _open_live(self, name: str) -> str:
        """An avatar's live page, on a port of its own. Raises UserError when too many are open."""
        with self._lock:
            if name not in self._live:
                if len(self._live) >= MOST_LIVE:
                    raise UserError("live pages", expected=f"at most {MOST_LIVE}", got="one more",
                                    remedy="Use one that is open.")  # fmt: skip
                config = ViewConfig(host=self.config.host, port=0)
                cast, identity = cast_of(self._avatars[name], config)
                compute_on(drawing_threads(cast().avatar.kind, config.threads))
                live = LiveServer(cast, config, _report, identity)
                live.start()
                self._live[name] = live
            return self._live[name].url


def serve(folders: Sequence[Path], config: ServeConfig) -> None:
    """Serve avatars until interrupted."""
    serving = Serving(folders, config)
    serving.start()
    _report(f"open {serving.url}   (Ctrl-C ends)")
    try:
        wait_until_ended()
    finally:
        serving.stop()


def _report(line: str) -> None:
    logging.getLogger("gtalk.serve").info(line)
    sys.stderr.write(f"gtalk serve: {line}\n")
