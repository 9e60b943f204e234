"""A port with routes behind it: who may come in, and the server's thread."""

from __future__ import annotations

import asyncio
import hmac
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs, quote, unquote, urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http import h11_impl

_COOKIE = "gtalk"
VISITOR = "visitor"
"""Where in a request's state the name stands of whose key was shown."""
_START_S = 15.0
_HEAD_S = 10.0  # until a request's head must be whole
_MOST_CONNECTIONS = 1000
_RULES = (
    ("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer"), ("x-frame-options", "SAMEORIGIN"),
)  # fmt: skip


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    return host in {"localhost", "::1", "127.0.0.1"} or host.startswith("127.")


class Door:
    """Serves routes on one port, in a thread of its own.

    Args:
        token: what visitors show as `?token=`, cookie or `Authorization: Bearer`; None asks nobody, and lets in only
            who says this host's name.
        keys: more of them, with whose each is: a request's `state.visitor`.
        tls: for https.
        shown: the address that people are given; `host` by default.
    """

    def __init__(
        self, routes: Sequence[BaseRoute], host: str, *, token: str | None, tls: ssl.SSLContext | None = None,
        shown: str = "", keys: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self._host, self._token, self._tls, self._shown = host, token, tls, shown or host
        known = {**(keys or {}), **({token: ""} if token else {})}
        self._app = _Gate(Starlette(routes=list(routes)), host, known)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Address of the page, with the token where one is asked for."""
        host = "localhost" if self._shown in {"0.0.0.0", "::", "127.0.0.1"} else self._shown
        scheme = "https" if self._tls is not None else "http"
        return f"{scheme}://{host}:{self.port}/" + (f"?token={quote(self._token, safe='')}" if self._token else "")

    def start(self, port: int) -> None:
        """Begin to listen. Raises OSError when the port is taken."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self._host, port))
        except OSError:
            listener.close()
            raise
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(self._app, log_level="error", access_log=False, timeout_keep_alive=20, lifespan="off",
                                limit_concurrency=_MOST_CONNECTIONS, http=_Hurried, ws="none",
                                server_header=False)  # fmt: skip
        config.load()
        config.ssl = self._tls
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), name="gtalk-door", daemon=True)
        self._thread.start()
        end_s = time.monotonic() + _START_S
        while not self._server.started and self._thread.is_alive() and time.monotonic() < end_s:
            time.sleep(0.01)

    def stop(self) -> None:
        """Close the port."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = self._server.force_exit = True
            self._thread.join(timeout=5)


class _Hurried(h11_impl.H11Protocol):
    """Closes a connection whose request's head does not come: silence and single letters hold nothing for long."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._calm()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state is not h11_impl.h11.IDLE:
            self._calm()
        elif self._late is None:
            self._late = self.loop.call_later(_HEAD_S, self.transport.abort)

    def _calm(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class _Gate:
    """Refuses other sites, other names of this host (DNS rebinding), and who has no token."""

    def __init__(self, app: ASGIApp, host: str, keys: Mapping[str, str]) -> None:
        self._app, self._host, self._keys = app, host, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        shown = asked or unquote(cookie_parser(headers.get("cookie", "")).get(_COOKIE, ""))
        shown = bearer.strip() if scheme.lower() == "bearer" else shown
        scope.setdefault("state", {})[VISITOR] = self._name_of(shown)
        if (why := self._refused(scope, headers, shown)) is not None:
            await PlainTextResponse(why[1] + "\n", why[0])(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                for name, value in _RULES:
                    out.setdefault(name, value)
                if self._keys and asked:
                    secure = "; Secure" if scope["scheme"] == "https" else ""
                    out.append("set-cookie", f"{_COOKIE}={quote(asked)}; HttpOnly; SameSite=Strict; Path=/{secure}")
            await send(message)

        await self._app(scope, receive, sent)

    def _refused(self, scope: Scope, headers: Headers, shown: str) -> tuple[int, str] | None:
        host = urlsplit("//" + headers.get("host", "")).hostname or ""
        if not self._keys and host != self._host and not is_loopback(host):
            return 403, "unknown Host"
        origin = headers.get("origin")
        if scope["method"] not in {"GET", "HEAD"} and origin and urlsplit(origin).netloc != headers.get("host"):
            return 403, "asked for by another site"
        follows_link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        if headers.get("sec-fetch-site") == "cross-site" and not follows_link:
            return 403, "asked for by another site"
        if self._keys and scope["state"][VISITOR] is None:
            return 401, "a valid ?token= or Authorization: Bearer is needed; a token was printed at the start"
        return None

    def _name_of(self, shown: str) -> str | None:
        """Whose key it is; every key is compared, so that time tells nothing."""
        found = None
        for key, name in self._keys.items():
            if hmac.compare_digest(shown.encode(), key.encode()):
                found = name
        return found
