"""`gtalk view`: puts the live session, the media socket, viser and the front together."""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
import sys
import threading
from contextlib import suppress
from importlib import resources
from pathlib import Path

from gtalk.errors import UserError
from gtalk.motion.control import ControlEdit, Controls
from gtalk.motion.model import PersonMotionModel
from gtalk.talk import Talker
from gtalk.talk.load import load_performer
from gtalk.viewer.config import ViewConfig
from gtalk.viewer.front import Front, Page, Route, Stream, Upstream, is_loopback
from gtalk.viewer.panels import Panels
from gtalk.viewer.session import LiveSession
from gtalk.viewer.socket import MediaSocket

_PAGE_TYPES = {".html": "text/html", ".js": "text/javascript"}


class LiveServer:
    """Everything behind one port. `start` returns when visitors are welcome; `stop` ends it all."""

    def __init__(self, talker: Talker, config: ViewConfig, controls: Controls | None = None) -> None:
        self.config, self._controls = config, controls
        self.session = LiveSession(talker, jpeg_quality=config.jpeg_quality)
        self.media = MediaSocket(self.session, mic=config.mic == "browser", report=_report)
        self.token = config.token or (None if is_loopback(config.host) else secrets.token_urlsafe(18))
        self.port = 0
        self._panels: Panels | None = None
        self._front: Front | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gtalk-front", daemon=True)

    @property
    def url(self) -> str:
        """Address of the page."""
        scheme = "https" if self.config.tls_cert else "http"
        host = self.config.host if self.config.host != "0.0.0.0" else "localhost"
        return f"{scheme}://{host}:{self.port}/" + (f"?token={self.token}" if self.token else "")

    def start(self) -> None:
        """Open the port. Raises UserError when it is taken or the certificate is unusable."""
        tls = _tls(self.config)
        self._panels = Panels(self.session, self._controls)
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._open(tls), self._loop).result()
        except OSError as error:
            self.stop()
            raise UserError(
                f"port {self.config.port}",
                expected=f"a free port on {self.config.host}",
                got=error.strerror or str(error),
                remedy="Give another with --port, or 0 for any free one.",
            ) from error
        self.session.start()

    def stop(self) -> None:
        """Close the port and end the session."""
        self.session.stop()
        if self._panels is not None:
            self._panels.stop()
        if self._thread.is_alive():
            with suppress(asyncio.TimeoutError, TimeoutError):
                asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(timeout=5)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=5)

    async def _open(self, tls: ssl.SSLContext | None) -> None:
        media_port = await self.media.start()
        assert self._panels is not None
        routes: dict[str, Route] = {
            **_pages(),
            "/media": Upstream("127.0.0.1", media_port),
            "/viser": Upstream("127.0.0.1", self._panels.port),
            "/viser/": Upstream("127.0.0.1", self._panels.port),
            "/live.mjpg": Stream("gtalk", self.media.pictures),
        }
        hosts = None if self.token else {self.config.host}
        self._front = Front(routes, token=self.token, allowed_hosts=hosts, report=_report)
        self.port = await self._front.start(self.config.host, self.config.port, tls)

    async def _close(self) -> None:
        if self._front is not None:
            await self._front.stop()
        await self.media.stop()


def serve(avatar_folder: Path, config: ViewConfig) -> None:
    """Open an avatar in the browser until interrupted."""
    performer = load_performer(avatar_folder)
    camera = performer.avatar.camera
    size = (round(camera.width * config.size / camera.height), config.size)
    if not isinstance(performer.motion_model, PersonMotionModel):
        raise UserError(
            f"avatar {avatar_folder}",
            expected="one that has learned to speak",
            got="no motion model in its folder",
            remedy=f"Run `gtalk motion train DATASET -o {avatar_folder}`.",
        )
    controls = Controls()
    edit = ControlEdit(performer.motion_model, controls, config.seed)
    server = LiveServer(performer.talker(seed=config.seed, size=size, edits=[edit]), config, controls)
    server.start()
    _report(f"open {server.url}   (Ctrl-C ends)")
    _report(
        f"OBS and players: {server.url.split('?')[0]}live.mjpg" + (f"?token={server.token}" if server.token else "")
    )
    microphone = None
    if config.mic == "local":
        from gtalk.viewer.soundcard import SoundCard

        microphone = SoundCard(server.session)
    try:
        threading.Event().wait()
    finally:
        if microphone is not None:
            microphone.close()
        server.stop()


def _pages() -> dict[str, Route]:
    folder = resources.files("gtalk.viewer") / "page"
    pages: dict[str, Route] = {}
    for file in folder.iterdir():
        kind = _PAGE_TYPES.get(Path(file.name).suffix)
        if kind is not None:
            pages["/" + file.name] = Page(kind, file.read_bytes())
    pages["/"] = pages.pop("/index.html")
    return pages


def _tls(config: ViewConfig) -> ssl.SSLContext | None:
    if config.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(config.tls_cert, config.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise UserError(
            "--tls-cert and --tls-key",
            expected="a certificate and its private key in PEM files",
            got=str(error),
            remedy="Make them with openssl, or leave them out and use an SSH tunnel.",
        ) from error
    return context


def _report(line: str) -> None:
    logging.getLogger("gtalk.viewer").info(line)
    sys.stderr.write(f"gtalk view: {line}\n")
