"""A port with routes behind it, served by a thread of its own."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from http import HTTPStatus
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from starlette.routing import BaseRoute, Router
from starlette.types import Receive, Scope, Send

from gtalk.errors import UserError
from gtalk.hosting.gate import COOKIE, OWN_CONTENT, Gate
from gtalk.hosting.listener import Listener
from gtalk.hosting.refused import Refused

Lifespan = Callable[[], AbstractAsyncContextManager[None]]
_STOP_S = 15.0


class Host:
    """Serves routes on one port until it is stopped.

    Args:
        routes: Starlette's; they raise Refused for what they do not answer.
        host: where to listen.
        token: what visitors show as `?token=` or cookie. Without it, and without `keys`, only requests to this host or
            to loopback are answered.
        report: gets one line for every refused request.
        keys: more of them, with whose each is: a request's `state.visitor`.
        key, cookie, policy, open_paths, guests, root: as of `Gate`.
        tls: for https.
        shown: the address that people are given; `host` by default.
        lifespan: is entered in the host's thread before the first visitor, and left after the last.
    """

    def __init__(
        self, routes: Sequence[BaseRoute], host: str, *, token: str | None, report: Callable[[str], None],
        keys: Mapping[str, str] | None = None, key: str = "", tls: ssl.SSLContext | None = None, shown: str = "",
        lifespan: Lifespan | None = None, open_paths: Iterable[str] = (), cookie: str = COOKIE,
        policy: str = OWN_CONTENT, guests: Mapping[str, tuple[str, str]] | None = None, root: str = "",
    ) -> None:  # fmt: skip
        self._host, self._token, self._tls, self._shown = host, token, tls, shown or host
        self._lifespan, self._alive = lifespan, AsyncExitStack()
        secrets = {**(keys or {}), **({token: ""} if token else {})}
        router = Router(routes, redirect_slashes=False, default=_nowhere)
        self.gate = Gate(
            router, secrets=secrets, hosts=None if secrets else {host}, report=report, key=key, open_paths=open_paths,
            cookie=cookie, policy=policy, guests=guests, root=root,
        )  # fmt: skip
        self.listener = Listener(self.gate, report, tls)
        self.port = 0
        """Where it listens; 0 before it does."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="gtalk-host", daemon=True)

    @property
    def url(self) -> str:
        """Address of the page, with the token where one is asked for."""
        scheme = "https" if self._tls is not None else "http"
        host = self._shown if self._shown not in {"0.0.0.0", "::"} else "localhost"
        host = f"[{host}]" if ":" in host else host
        return f"{scheme}://{host}:{self.port}/" + (f"?token={quote(self._token, safe='')}" if self._token else "")

    def start(self, port: int) -> None:
        """Open the port, 0 for any free one. Raises OSError when it is taken."""
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._open(port), self._loop).result()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Close the port and end what lies behind it."""
        if self._thread.is_alive():
            with suppress(asyncio.TimeoutError, TimeoutError):
                asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(timeout=_STOP_S)
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
        if self._lifespan is not None:
            await self._alive.enter_async_context(self._lifespan())
        self.port = await self.listener.start(self._host, port)

    async def _close(self) -> None:
        self.gate.ending = True
        await self.listener.stop()
        await self._alive.aclose()


def tls_context(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """For https; None without a certificate. Raises UserError for files that are none."""
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise UserError(
            "--tls-cert and --tls-key",
            expected="a certificate and its private key in PEM files",
            got=str(error),
            remedy="Make them with openssl, or leave them out and use an SSH tunnel.",
        ) from error
    return context


def port_taken(port: int, host: str, error: OSError) -> UserError:
    """The sentence for a port that could not be opened."""
    return UserError(
        f"port {port}",
        expected=f"a free port on {host}",
        got=error.strerror or str(error),
        remedy="Give another with --port, or 0 for any free one.",
    )


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> NoReturn:
    raise Refused(HTTPStatus.NOT_FOUND, "no such page")


async def _end_tasks() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
