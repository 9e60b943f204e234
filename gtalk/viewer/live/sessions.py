"""Several conversations behind one port: each has its own clock, state, controls and sockets.

/            the main one, open as long as the server is
/s/NAME/     another, opened by its first visitor and closed when nobody has looked at it for a while
"""

from __future__ import annotations

import asyncio
import re
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from importlib import resources
from pathlib import Path

import numpy as np
from starlette.routing import BaseRoute, Match, Mount, Route, Router
from starlette.types import Receive, Scope, Send

from gtalk.export.web.drawn import Drawn
from gtalk.hosting.answers import Page, later, moved, page
from gtalk.hosting.refused import Refused
from gtalk.marks.identity import Identity
from gtalk.marks.leaving import Leaving
from gtalk.shapes import UInt8
from gtalk.talk import Talks
from gtalk.viewer.config import ViewConfig
from gtalk.viewer.gui.guard import GuardedViser
from gtalk.viewer.gui.panels import Panels
from gtalk.viewer.live.ears import Ears, Obey
from gtalk.viewer.live.pictures import warm_face
from gtalk.viewer.live.recorder import Recorder
from gtalk.viewer.live.session import LiveSession
from gtalk.viewer.web.media_socket import MediaSocket
from gtalk.viewer.webrtc.ice import ice_servers
from gtalk.viewer.webrtc.peers import Peers
from gtalk.viewer.webrtc.whep import whep_routes
from gtalk.voice.synthesis import Speaker

MAIN = ""
_IDLE_S = 30.0
_LOOK_EVERY_S = 2.0
_NAME = re.compile(r"[a-z0-9-]{1,32}")
_PAGE_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}

TalkerFactory = Callable[[], Talks]
"""Makes a fresh talker for a conversation."""


Leave = Callable[[UInt8[np.ndarray, "H W 3"]], UInt8[np.ndarray, "H W 3"]]
"""Makes a picture ready to leave: its mark."""


class HostedSession:
    """One conversation with everything that serves it."""

    def __init__(
        self,
        cast: TalkerFactory,
        identity: Identity,
        speaker: Speaker,
        config: ViewConfig,
        key: str,
        report: Callable[[str], None],
        drawn: Drawn | None = None,
        leaving: Leave | None = None,
    ) -> None:
        self.session = LiveSession(
            cast(), controls=config.controls, jpeg_quality=config.jpeg_quality, leaving=leaving or Leaving(identity),
            numbers=None if drawn is None else drawn.numbers, report=report,
        )  # fmt: skip
        draw = "server" if drawn is None else config.draw
        self.session.barge_in = config.barge_in
        keys = None if config.sign_cert is None or config.sign_key is None else (config.sign_cert, config.sign_key)
        self.recorder = Recorder(self.session, identity, config.label, keys)
        mic = config.mic == "browser"
        self.media = MediaSocket(
            self.session, self.recorder, speaker, mic=mic, label=config.label, draw=draw, report=report
        )
        self.peers = Peers(self.session, label=config.label == "on", mic=mic, ice=ice_servers(config.ice))
        self.session.on_trouble = self.media.notify
        secret = secrets.token_hex(16)
        self.panels = Panels(self.session, self.media.notify, secret)
        self._report, self._seed = report, config.seed
        self.routes: list[BaseRoute] = [
            *_pages(key),
            *([] if drawn is None else _drawing(drawn)),
            *self.media.routes(),
            *whep_routes(self.peers),
            *GuardedViser(self.panels.server, secret, report).routes(),
        ]
        self.router = Router(self.routes, redirect_slashes=False)
        self.seen_s = time.monotonic()
        self._warming, self._is_warm = threading.Lock(), False
        self.on_close: Callable[[], None] = lambda: None
        self.ears: Ears | None = None
        """What listens to the microphone in place of the face; None while the face mouths what is heard."""
        if config.listens:
            self.listen(self.session.direct)

    async def open(self) -> None:
        """Begin to live."""
        self.media.start()
        self.session.start()
        threading.Thread(target=self.warm, name="gtalk-warm", daemon=True).start()

    def listen(self, obey: Obey) -> Ears:
        """Have the microphone listened to from now on, and what that asks of the face obeyed."""
        if self.ears is None:
            self.ears = Ears(obey, self._seed, self._report, self.media.notify)
        self.ears.obey = obey
        self.session.on_heard = self.ears.hear
        self.media.on_both = self.ears.hear_both
        return self.ears

    def warm(self) -> None:
        """Have made, once, what expressions are drawn with; returns when it is there."""
        with self._warming, suppress(Exception):  # an avatar that has no expressions
            if not self._is_warm:
                self._is_warm = True
                warm_face(self.session.talker, self.session.view)

    async def close(self) -> None:
        """End everything and free what it held."""
        await self.peers.close()
        await asyncio.to_thread(self._stop)

    def _stop(self) -> None:
        self.on_close()
        self.session.stop()
        if self.ears is not None:
            self.ears.close()
        if (path := self.recorder.close()) is not None:
            self._report(f"the recording that was running is whole: {path}")
        self.panels.stop()


class Places:
    """How many conversations there may be; several managers may share them.

    Args:
        most: of them.
        option: the option that says so.
    """

    def __init__(self, most: int, option: str = "--max-sessions") -> None:
        self._most, self._option, self.taken = most, option, 0

    @property
    def free(self) -> int:
        """How many may still be opened."""
        return self._most - self.taken

    def take(self) -> None:
        """One more. Raises Refused where all are taken."""
        if self.taken >= self._most:
            words = f"{self._most} sessions are open, as many as this server allows ({self._option})"
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, words)
        self.taken += 1

    def leave(self) -> None:
        """One less."""
        self.taken -= 1


class SessionManager:
    """All conversations with one avatar. `places` are shared with other managers; else it has `config.max_sessions`."""

    def __init__(
        self,
        cast: TalkerFactory,
        identity: Identity,
        config: ViewConfig,
        speaker: Speaker,
        key: str,
        report: Callable[[str], None],
        places: Places | None = None,
        leaving: Leave | None = None,
    ) -> None:
        drawn = None if config.draw == "server" else Drawn.of(cast().avatar, identity)
        self._make = lambda: HostedSession(cast, identity, speaker, config, key, report, drawn, leaving)
        self.on_open: Callable[[HostedSession], Callable[[], None]] | None = None
        """Joins each conversation that opens; what it returns is called when that closes."""
        self._places, self._report = places or Places(config.max_sessions), report
        self._rooms: dict[str, HostedSession] = {}
        self._opening = asyncio.Lock()

    @property
    def main(self) -> HostedSession:
        """The conversation that the server began with."""
        return self._rooms[MAIN]

    @property
    def names(self) -> list[str]:
        """Names of the conversations that are open."""
        return list(self._rooms)

    @property
    def rooms(self) -> list[HostedSession]:
        """The conversations that are open."""
        return list(self._rooms.values())

    def routes(self) -> list[BaseRoute]:
        """Where the conversations are, for any host; they are there within `lifespan`."""
        return [
            Route("/s/{name}", moved("{name}/")),  # relative addresses on the page need the slash
            Mount("/s/{name}", app=self._named),
            Mount("", app=self._first),
        ]

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Begins the main one; ends all."""
        await self._enter(MAIN)
        keeper = asyncio.create_task(self._close_idle())
        try:
            yield
        finally:
            keeper.cancel()
            while self._rooms:
                await self._leave(next(iter(self._rooms)))

    async def _first(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._find(scope)
        await self.main.router(scope, receive, send)

    async def _named(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["path_params"]["name"]
        if not _NAME.fullmatch(name):
            raise Refused(HTTPStatus.NOT_FOUND, "no such page")
        self._find(scope)
        await (await self._enter(name)).router(scope, receive, send)

    def _find(self, scope: Scope) -> None:
        """What is nowhere opens no session."""
        found = {route.matches(scope)[0] for route in self.main.routes}
        if Match.FULL not in found:
            if Match.PARTIAL in found:
                raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "not with this method")
            raise Refused(HTTPStatus.NOT_FOUND, "no such page")

    async def _enter(self, name: str) -> HostedSession:
        async with self._opening:
            if name not in self._rooms:
                self._rooms[name] = await self._opened()
                if name:
                    self._report(f"session {name!r} opened")
            self._rooms[name].seen_s = time.monotonic()
            return self._rooms[name]

    async def _opened(self) -> HostedSession:
        self._places.take()
        try:
            room = await asyncio.to_thread(self._make)
            await room.open()
            if self.on_open is not None:
                room.on_close = await asyncio.to_thread(self.on_open, room)
        except BaseException:
            self._places.leave()
            raise
        return room

    async def _leave(self, name: str) -> None:
        room = self._rooms.pop(name)
        self._places.leave()
        await room.close()

    async def _close_idle(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            for name, room in list(self._rooms.items()):
                if name == MAIN or room.session.stats().listeners:
                    room.seen_s = time.monotonic()
                elif time.monotonic() - room.seen_s > _IDLE_S:
                    await self._leave(name)
                    self._report(f"session {name!r} closed, nobody was there")


def _drawing(drawn: Drawn) -> list[BaseRoute]:
    """What a page needs that draws by itself, below draw/."""
    return [
        *(Route(f"/draw/{name}", page(Page("text/javascript", body))) for name, body in drawn.modules().items()),
        Route("/draw/plate.jpg", page(Page("image/jpeg", drawn.plate()))),
        Route("/draw/avatar.bin", later(lambda: Page("application/octet-stream", drawn.avatar()))),
    ]


def _pages(key: str) -> list[BaseRoute]:
    """The page's files; `key` lets its sockets in, whatever a proxy does to their headers."""
    routes: list[BaseRoute] = []
    for file in (resources.files("gtalk.viewer.web") / "page").iterdir():
        kind = _PAGE_TYPES.get(Path(file.name).suffix)
        if kind is not None:
            body, is_index = file.read_bytes(), file.name == "index.html"
            body = body.replace(b"PAGE_KEY", key.encode()) if is_index else body
            for path in ("/", "/face") if is_index else (f"/{file.name}",):
                routes.append(Route(path, page(Page(kind, body))))
    return routes
