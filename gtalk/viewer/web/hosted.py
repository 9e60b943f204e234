"""The front in a thread of its own, and what lies behind it."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, runtime_checkable
from urllib.parse import quote

from gtalk.viewer.web.front import Front
from gtalk.viewer.web.http import Route


@runtime_checkable
class Behind(Protocol):
    """What a front shows."""

    async def open(self) -> None:
        """Begin; called before the first visitor."""
        ...

    async def close(self) -> None:
        """End; called after the last."""
        ...

    async def route(self, path: str) -> Route | None:
        """A Router: see gtalk.viewer.web.http."""
        ...


class Hosted:
    """Serves `behind` on one port until it is stopped.

    Args:
        behind: what is shown.
        host: where to listen.
        token, key, report, tls: as of `Front`. Without a token, only requests to this host or to loopback are answered.
    """

    def __init__(
        self,
        behind: Behind,
        host: str,
        *,
        token: str | None,
        key: str,
        report: Callable[[str], None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._behind, self._host, self._token, self._tls = behind, host, token, tls
        hosts = None if token else {host}
        self.front = Front(behind.route, token=token, allowed_hosts=hosts, report=report, key=key)
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="gtalk-front", daemon=True)

    @property
    def url(self) -> str:
        """Address of the page, with the token where one is asked for."""
        scheme = "https" if self._tls is not None else "http"
        host = self._host if self._host not in {"0.0.0.0", "::"} else "localhost"
        host = f"[{host}]" if ":" in host else host
        return f"{scheme}://{host}:{self.port}/" + (f"?token={quote(self._token, safe='')}" if self._token else "")

    def start(self, port: int) -> None:
        """Open the port, 0 for any free one. Raises OSError when it is taken."""
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._open(port), self._loop).result()
        except OSError:
            self.stop()
            raise

    def stop(self) -> None:
        """Close the port and end what lies behind it."""
        if self._thread.is_alive():
            with suppress(asyncio.TimeoutError, TimeoutError):
                asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(timeout=10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=5)

    def _run(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(_end_tasks())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _open(self, port: int) -> None:
        await self._behind.open()
        self.port = await self.front.start(self._host, port, self._tls)

    async def _close(self) -> None:
        await self.front.stop()
        await self._behind.close()


async def _end_tasks() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
