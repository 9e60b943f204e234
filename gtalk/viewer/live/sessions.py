"""Several conversations behind one port: each has its own clock, state, controls and sockets.

/            the main one, open as long as the server is
/s/NAME/     another, opened by its first visitor and closed when nobody has looked at it for a while
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from importlib import resources
from pathlib import Path

from gtalk.export.web.drawn import Drawn
from gtalk.marks.identity import Identity
from gtalk.marks.leaving import Leaving
from gtalk.talk import Talker
from gtalk.viewer.config import ViewConfig
from gtalk.viewer.gui.guard import GuardedViser
from gtalk.viewer.gui.panels import Panels
from gtalk.viewer.live.pictures import warm_face
from gtalk.viewer.live.recorder import Recorder
from gtalk.viewer.live.session import LiveSession
from gtalk.viewer.web.budget import Budget
from gtalk.viewer.web.http import Asgi, Download, Later, Moved, Page, Refused, Route, Stream, Upstream, page_key
from gtalk.viewer.web.media_socket import MediaSocket
from gtalk.viewer.webrtc.ice import ice_servers
from gtalk.viewer.webrtc.peers import Peers
from gtalk.viewer.webrtc.whep import METHODS, whep
from gtalk.voice.synthesis import Speaker

MAIN = ""
_IDLE_S = 30.0
_LOOK_EVERY_S = 2.0
_PATH = re.compile(r"/s/([a-z0-9-]{1,32})(/.*)?")
_OPENINGS_A_SECOND, _OPENINGS_AT_ONCE = 2.0, 24.0  # of the sockets of a session
_PAGE_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}

TalkerFactory = Callable[[], Talker]
"""Makes a fresh talker for a conversation."""


class HostedSession:
    """One conversation with everything that serves it."""

    def __init__(
        self,
        cast: TalkerFactory,
        identity: Identity,
        speaker: Speaker,
        config: ViewConfig,
        secret: str,
        report: Callable[[str], None],
        drawn: Drawn | None = None,
    ) -> None:
        self.session = LiveSession(
            cast(), controls=config.controls, jpeg_quality=config.jpeg_quality, leaving=Leaving(identity),
            numbers=None if drawn is None else drawn.numbers, report=report,
        )  # fmt: skip
        draw = "server" if drawn is None else config.draw
        self.session.barge_in = config.barge_in
        keys = None if config.sign_cert is None or config.sign_key is None else (config.sign_cert, config.sign_key)
        self.recorder = Recorder(self.session, identity, config.label, keys)
        mic = config.mic == "browser"
        self.media = MediaSocket(
            self.session, self.recorder, speaker, mic=mic, label=config.label, draw=draw, secret=secret, report=report
        )
        self._drawn = drawn
        self.peers = Peers(self.session, label=config.label == "on", mic=mic, ice=ice_servers(config.ice))
        self.session.on_trouble = self.media.notify
        self.panels = Panels(self.session, self.media.notify, secret)
        self._guard = GuardedViser(self.panels.server, secret, report)
        self._report = report
        self.routes: dict[str, Route | Later] = {}
        self.seen_s = time.monotonic()
        self._warming, self._is_warm = threading.Lock(), False
        self.on_close: Callable[[], None] = lambda: None
        self._secret, self._key = secret, page_key(config.token or secret)

    async def open(self) -> None:
        """Begin to live and to listen."""
        port = await self.media.start()
        viser = await self._guard.start()
        openings = [Budget(_OPENINGS_A_SECOND, _OPENINGS_AT_ONCE) for _ in range(2)]
        self.routes = {
            **_pages(self._key),
            **({} if self._drawn is None else _drawing(self._drawn)),
            "/media": Upstream("127.0.0.1", port, "/media", self._secret, openings=openings[0]),
            "/push": Upstream("127.0.0.1", port, "/push", self._secret, openings=openings[1]),
            "/viser": viser,
            "/viser/": viser,
            "/whep": Asgi(whep(self.peers), METHODS),
            "/live.mjpg": Stream("gtalk", self.media.images),
            "/recording.mp4": Download(lambda: self.recorder.path, "video/mp4", "gtalk.mp4"),
        }
        self.session.start()
        threading.Thread(target=self.warm, name="gtalk-warm", daemon=True).start()

    def warm(self) -> None:
        """Have made, once, what expressions are drawn with; returns when it is there."""
        with self._warming, suppress(Exception):  # an avatar that has no expressions
            if not self._is_warm:
                self._is_warm = True
                warm_face(self.session.talker, self.session.view)

    async def close(self) -> None:
        """End everything and free what it held."""
        await self.peers.close()
        await self.media.stop()
        await self._guard.stop()
        await asyncio.to_thread(self._stop)

    def _stop(self) -> None:
        self.on_close()
        self.session.stop()
        if (path := self.recorder.close()) is not None:
            self._report(f"the recording that was running is whole: {path}")
        self.panels.stop()


class SessionManager:
    """All conversations of a server, at most `config.max_sessions`."""

    def __init__(
        self,
        cast: TalkerFactory,
        identity: Identity,
        config: ViewConfig,
        speaker: Speaker,
        secret: str,
        report: Callable[[str], None],
    ) -> None:
        drawn = None if config.draw == "server" else Drawn.of(cast().avatar, identity)
        self._make = lambda: HostedSession(cast, identity, speaker, config, secret, report, drawn)
        self.on_open: Callable[[HostedSession], Callable[[], None]] | None = None
        """Joins each conversation that opens; what it returns is called when that closes."""
        self._limit, self._report = config.max_sessions, report
        self._rooms: dict[str, HostedSession] = {}
        self._opening = asyncio.Lock()
        self._keeper: asyncio.Task[None] | None = None

    @property
    def main(self) -> HostedSession:
        """The conversation that the server began with."""
        return self._rooms[MAIN]

    @property
    def names(self) -> list[str]:
        """Names of the conversations that are open."""
        return list(self._rooms)

    async def open(self) -> None:
        """Begin the main one."""
        await self._enter(MAIN)
        self._keeper = asyncio.create_task(self._close_idle())

    async def close(self) -> None:
        """End all."""
        if self._keeper is not None:
            self._keeper.cancel()
        while self._rooms:
            await self._rooms.popitem()[1].close()

    async def route(self, path: str) -> Route | None:
        """A Router: see gtalk.viewer.web.http."""
        match = _PATH.fullmatch(path)
        if match is None:
            return await _made(self.main.routes.get(path))
        name, rest = match[1], match[2]
        if rest is None:
            return Moved(f"{name}/")  # relative addresses on the page need the slash
        if rest not in self.main.routes:  # what is nowhere opens no session
            return None
        return await _made((await self._enter(name)).routes[rest])

    async def _enter(self, name: str) -> HostedSession:
        async with self._opening:
            if name not in self._rooms:
                if len(self._rooms) >= self._limit:
                    raise Refused(
                        HTTPStatus.SERVICE_UNAVAILABLE,
                        f"{self._limit} sessions are open, as many as this server allows (--max-sessions)",
                    )
                room = await asyncio.to_thread(self._make)
                await room.open()
                if self.on_open is not None:
                    room.on_close = await asyncio.to_thread(self.on_open, room)
                self._rooms[name] = room
                if name:
                    self._report(f"session {name!r} opened")
            self._rooms[name].seen_s = time.monotonic()
            return self._rooms[name]

    async def _close_idle(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            for name, room in list(self._rooms.items()):
                if name == MAIN or room.session.stats().listeners:
                    room.seen_s = time.monotonic()
                elif time.monotonic() - room.seen_s > _IDLE_S:
                    del self._rooms[name]
                    await room.close()
                    self._report(f"session {name!r} closed, nobody was there")


async def _made(route: Route | Later | None) -> Route | None:
    return await asyncio.to_thread(route.make) if isinstance(route, Later) else route


def _drawing(drawn: Drawn) -> dict[str, Route | Later]:
    """What a page needs that draws by itself, below draw/."""
    modules = {f"/draw/{name}": Page("text/javascript", body) for name, body in drawn.modules().items()}
    return {
        **modules,
        "/draw/plate.jpg": Page("image/jpeg", drawn.plate()),
        "/draw/avatar.bin": Later(lambda: Page("application/octet-stream", drawn.avatar())),
    }


def _pages(key: str) -> dict[str, Route]:
    """The page's files; `key` lets its sockets in, whatever a proxy does to their headers."""
    folder = resources.files("gtalk.viewer.web") / "page"
    pages: dict[str, Route] = {}
    for file in folder.iterdir():
        kind = _PAGE_TYPES.get(Path(file.name).suffix)
        if kind is not None:
            pages["/" + file.name] = Page(kind, file.read_bytes())
    index = pages.pop("/index.html")
    assert isinstance(index, Page)
    pages["/"] = Page(index.content_type, index.body.replace(b"PAGE_KEY", key.encode()))
    return pages
