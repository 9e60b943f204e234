"""`gtalk studio`: the desk, its routes and its ports put together."""

from __future__ import annotations

import asyncio
import logging
import secrets
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starlette.routing import BaseRoute

from gtalk.compute.threads import compute_on
from gtalk.hosting.budget import QuietLog
from gtalk.hosting.ending import wait_until_ended
from gtalk.hosting.gate import is_loopback
from gtalk.hosting.host import Host, port_taken, tls_context
from gtalk.studio.certificate import address_here, own_certificate
from gtalk.studio.config import StudioConfig
from gtalk.studio.desk import Desk
from gtalk.studio.routes import record_routes, work_routes
from gtalk.viewer.config import ViewConfig
from gtalk.viewer.server import LiveServer, cast_of, drawing_threads

_COOKIE = "gtalk_studio"  # the live page in its frame has one of its own, and ports share them
_POLICY = "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
"""Its page shows films and recordings from memory, and the live page of another port."""


class Studio:
    """Everything behind the studio's ports. `start` returns when visitors are welcome; `stop` ends it all."""

    def __init__(self, folder: Path, config: StudioConfig) -> None:
        self.config = config
        self.desk = Desk(folder, config)
        self.token = None if is_loopback(config.host) else secrets.token_urlsafe(18)
        self.desk.open_live, self.desk.open_phone = self._open_live, self._let_phone_in
        self.desk.close_live = self._close_live
        self._door = _host([*record_routes(self.desk), *work_routes(self.desk)], config.host, token=self.token)
        self._live: tuple[str, LiveServer] | None = None
        self._phone: Host | None = None
        self._told: dict[str, Any] = {}
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Address of the page."""
        return self._door.url

    def start(self) -> None:
        """Open the port, go on with what waits. Raises UserError when the port is taken."""
        try:
            self._door.start(self.config.port)
        except OSError as error:
            raise port_taken(self.config.port, self.config.host, error) from error
        self.desk.start()

    def stop(self) -> None:
        """Close the ports, end the conversation and the job; both go on at the next start."""
        for door in (self._door, self._phone):
            if door is not None:
                door.stop()
        if self._live is not None:
            self._live[1].stop()
        self.desk.stop()

    def _close_live(self, name: str) -> None:
        """An avatar that is deleted lives no longer."""
        with self._lock:
            if self._live is not None and self._live[0].partition(" ")[0] == name:
                self._live[1].stop()
                self._live = None

    async def _open_live(self, name: str, avatar: Path) -> dict[str, Any]:
        return await asyncio.to_thread(self._live_of, name, avatar)

    def _live_of(self, name: str, avatar: Path) -> dict[str, Any]:
        """One avatar lives at a time: another one takes its place."""
        with self._lock:
            key = f"{name} {avatar} {(avatar / 'avatar.json').stat().st_mtime_ns}"
            if self._live is None or self._live[0] != key:
                if self._live is not None:
                    self._live[1].stop()
                    self._live = None
                config = ViewConfig(host=self.config.host, port=0, size=self.config.size, device=self.config.device)
                cast, identity = cast_of(avatar, config)
                compute_on(drawing_threads(cast().avatar.kind, config.threads))
                server = LiveServer(cast, config, _report, identity)
                server.hosted.gate.framed_by = self._origins
                server.start()
                self._live = (key, server)
            server = self._live[1]
            return {"port": server.port, "token": server.token or ""}

    @property
    def _origins(self) -> str:
        """Of the studio's page, as a Content-Security-Policy has them."""
        names = ("localhost", "127.0.0.1", "[::1]") if is_loopback(self.config.host) else ("*",)
        return " ".join(f"http://{name}:{self._door.port}" for name in names)

    async def _let_phone_in(self) -> dict[str, Any]:
        return await asyncio.to_thread(self._open_phone)

    def _open_phone(self) -> dict[str, Any]:
        with self._lock:
            if self._phone is None:
                here = address_here()
                certificate, key, seen = own_certificate(self.desk.library.root / ".tls", here)
                routes, token = record_routes(self.desk, phone=True), secrets.token_urlsafe(18)
                phone = _host(routes, "0.0.0.0", token=token, tls=tls_context(certificate, key), shown=here)
                phone.start(0)
                self._phone, self._told = phone, {"url": phone.url, "fingerprint": seen}
                _report(f"a phone may come to {phone.url}")
            return dict(self._told)


def _host(routes: Sequence[BaseRoute], host: str, **options: Any) -> Host:
    shown = options.pop("shown", "localhost" if host == "127.0.0.1" else "")
    return Host(routes, host, report=QuietLog(_report), cookie=_COOKIE, policy=_POLICY, shown=shown, **options)


def serve(folder: Path, config: StudioConfig) -> None:
    """Open the studio of a folder until told to end."""
    studio = Studio(folder, config)
    with studio.desk.looker.held():  # a page that is open already asks at once, and would silence the line
        studio.start()
        _report(f"open {studio.url}   (Ctrl-C ends)")
    studio.desk.warm()
    try:
        wait_until_ended(_report)
    finally:
        studio.stop()


def _report(line: str) -> None:
    logging.getLogger("gtalk.studio").info(line)
    sys.stderr.write(f"gtalk studio: {line}\n")
