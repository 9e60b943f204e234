"""Live pages below the server's own port: /live/NAME/ is `gtalk view` of an avatar.

They open with their first visitor and close when nobody has looked at them for a while. Each key has conversations of
its own: what one client says and hears, no other sees. A guest's token lets into one of them and nowhere else.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import Receive, Scope, Send

from gtalk.compute.threads import compute_on
from gtalk.hosting.answers import moved
from gtalk.hosting.gate import VISITOR, guest_secret, page_key
from gtalk.hosting.refused import Refused
from gtalk.serve.config import ServeConfig
from gtalk.talk.load import Character, Identity
from gtalk.viewer.config import ViewConfig
from gtalk.viewer.live.sessions import HostedSession, Places, SessionManager, TalkerFactory
from gtalk.viewer.server import cast_of, drawing_threads
from gtalk.voice.synthesis import Speaker

CLOSES_AFTER_S = 60.0
_LOOK_EVERY_S = 5.0


def place_of(name: str) -> str:
    """Path of an avatar's live page, without the root that a proxy adds."""
    return f"/live/{name}/"


def guests_of(keys: Mapping[str, str], names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Of every key a secret for each avatar's live page: as `Gate` takes them."""
    places = [place_of(name) for name in names]
    return {guest_secret(key, place): (whose, place) for key, whose in keys.items() for place in places}


@dataclass
class _Open:
    manager: SessionManager
    router: Router
    inside: int = 0
    """Requests and sockets that are under way."""
    left_s: float = field(default_factory=time.monotonic)
    """When somebody was last there."""
    alive: AsyncExitStack = field(default_factory=AsyncExitStack)


class LivePages:
    """The live pages of all avatars and clients.

    Args:
        avatars: folders by name.
        config: how many there may be, and who draws.
        secret: of the server; the same gives pages that are open the same key after a restart.
        report: gets one line for what happens.
        load: reads an avatar.
    """

    def __init__(
        self, avatars: Mapping[str, Path], config: ServeConfig, secret: str, report: Callable[[str], None],
        load: Callable[[Path], Character],
    ) -> None:  # fmt: skip
        self._avatars, self._report, self._load = avatars, report, load
        self._config = ViewConfig(host=config.host, port=0, draw=config.draw, ice=config.ice)
        self._places = Places(config.most_live, "--most-live")
        self._speaker = Speaker()
        self._casts: dict[str, tuple[TalkerFactory, Identity]] = {}
        self._open: dict[tuple[str, str], _Open] = {}
        self._opening = asyncio.Lock()
        self.key = page_key(secret or secrets.token_hex(16))
        """What the pages' own sockets show, see `Gate`."""

    def routes(self) -> list[BaseRoute]:
        """Where the pages are; they are there within `lifespan`."""
        return [Route("/live/{avatar}", moved("{avatar}/")), Mount("/live/{avatar}", app=self._page)]

    @property
    def rooms(self) -> list[HostedSession]:
        """All conversations that are open."""
        return [room for one in self._open.values() for room in one.manager.rooms]

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Closes pages that nobody looks at; in the end all, recordings finished."""
        keeper = asyncio.create_task(self._close_idle())
        try:
            yield
        finally:
            keeper.cancel()
            async with self._opening:
                for whose in list(self._open):
                    await self._close(whose)

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["path_params"]["avatar"]
        if name not in self._avatars:
            raise Refused(HTTPStatus.NOT_FOUND, "no such page")
        owner = getattr(HTTPConnection(scope).state, VISITOR, "")
        one = await self._enter(owner, name)
        one.inside += 1
        try:
            await one.router(scope, receive, send)
        finally:
            one.inside -= 1
            one.left_s = time.monotonic()

    async def _enter(self, owner: str, name: str) -> _Open:
        async with self._opening:
            if (owner, name) not in self._open:
                if not self._places.free:
                    self._places.take()  # which says why not, before an avatar is read
                cast, identity = await asyncio.to_thread(self._cast, name)
                manager = await asyncio.to_thread(
                    SessionManager, cast, identity, self._config, self._speaker, self.key, self._report, self._places
                )
                one = _Open(manager, Router(manager.routes(), redirect_slashes=False))
                await one.alive.enter_async_context(manager.lifespan())
                self._open[owner, name] = one
                self._report(f"live page of {name} opened" + (f" for {owner}" if owner else ""))
            return self._open[owner, name]

    def _cast(self, name: str) -> tuple[TalkerFactory, Identity]:
        if name not in self._casts:
            cast, identity = cast_of(self._avatars[name], self._config, self._load)
            compute_on(drawing_threads(cast().avatar.kind, self._config.threads))
            self._casts[name] = cast, identity
        return self._casts[name]

    async def _close(self, whose: tuple[str, str]) -> None:
        one = self._open.pop(whose)
        await one.alive.aclose()
        if not any(name == whose[1] for _, name in self._open):
            self._casts.pop(whose[1], None)  # an avatar that was fitted anew is read anew
        self._report(f"live page of {whose[1]} closed")

    async def _close_idle(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            async with self._opening:
                for whose, one in list(self._open.items()):
                    if one.inside or any(room.session.stats().listeners for room in one.manager.rooms):
                        one.left_s = time.monotonic()
                    elif time.monotonic() - one.left_s > CLOSES_AFTER_S:
                        await self._close(whose)
