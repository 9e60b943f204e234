"""Who may come in: every request's host, site, origin and token, checked before anything looks at its path."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import quote, unquote, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from gtalk.hosting.refused import Refused
from gtalk.hosting.visits import stay

GUESS_S = 0.5  # what a wrong token waits for its answer
PIECE = 16 * 1024  # bytes of an answer that wait for a reader at a time
COOKIE, KEY_COOKIE = "gtalk_token", "gtalk_page"
VISITOR = "visitor"
"""Where in a request's state the name stands of whose secret was shown."""
OWN_CONTENT = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""Content-Security-Policy: nothing from elsewhere, nothing to elsewhere."""
_HEADERS = (
    ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "SAMEORIGIN"),
    ("Cross-Origin-Resource-Policy", "same-origin"), ("Referrer-Policy", "no-referrer"),
)  # fmt: skip
_NO_UPGRADE = (
    "Something between passes no WebSockets on. For nginx: proxy_http_version 1.1; "
    'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'
)


class Gate:
    """An ASGI application that lets through what may come in, and says in one line why the rest may not.

    Args:
        app: what stands behind it.
        secrets: any of them is what visitors show as `?token=`, cookie or bearer token, with whose each is (the state
            `visitor` of a request); none asks nobody.
        hosts: accepted Host names; None accepts all (a token protects then).
        report: gets one line for every refused request.
        key: what the page's own sockets show as `?key=`; empty lets them in by their Origin alone.
        open_paths: what is answered without a token.
        cookie: remembers the token; ports of one machine share their cookies.
        guests: secrets that open one place alone: whose guest it is, and the path that theirs begin with.
        root: the path under which a proxy shows all this, where it does not say so (`forwarded_root`).
        policy: Content-Security-Policy of answers that have none of their own.
    """

    def __init__(
        self, app: ASGIApp, *, secrets: Mapping[str, str], hosts: Iterable[str] | None, report: Callable[[str], None],
        key: str = "", open_paths: Iterable[str] = (), cookie: str = COOKIE, policy: str = OWN_CONTENT,
        guests: Mapping[str, tuple[str, str]] | None = None, root: str = "",
    ) -> None:  # fmt: skip
        self._guests, self._root = dict(guests or {}), root
        self._app, self._secrets, self._report, self._key = app, dict(secrets), report, key
        self._cookie, self._policy = cookie, policy
        self.ending = False
        """Whether the host is about to end every connection."""
        self.framed_by = ""
        """Origins, beside its own, whose pages may show these in a frame; set before the first visitor."""
        self._hosts = None if hosts is None else set(hosts)
        self._open = set(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        scope["app"] = self  # Starlette's routes raise what they refuse, instead of answering, where there is one
        asked, answer = HTTPConnection(scope), _Answer(send, self._policy, self.framed_by)
        try:
            answer.cookies = self._cookies(asked, self._checked(asked))
            await self._app(scope, receive, answer)
        except HTTPException as refusal:
            self._report(f"refused: {refusal.status_code} {refusal.detail}")
            if refusal.status_code == HTTPStatus.UNAUTHORIZED and asked.query_params.get("token"):
                await asyncio.sleep(GUESS_S)
            if not answer.begun:
                words = PlainTextResponse(f"{refusal.detail}\n", refusal.status_code, refusal.headers)
                await words(scope, receive, answer)
        except (WebSocketDisconnect, ClientDisconnect):
            pass  # the client left
        except Exception as error:  # a session that cannot be opened, say: this visitor's loss alone
            if isinstance(error, OSError) and answer.begun:
                return  # the client left
            self._report(f"failed: {type(error).__name__}: {error}")
            if not answer.begun:
                words = PlainTextResponse("something broke; the server's log says what\n", 500)
                with suppress(OSError):
                    await words(scope, receive, answer)

    def origin_problem(self, asked: HTTPConnection, origin: str) -> str:
        """Why a page of `origin` may open no socket, in words; nothing when it may.

        Proxies write another Host, or leave out its port. The page's own key proves as much: it stands in the
        page, which nobody but the page's own origin can read. It comes in the address, or in a cookie that
        browsers send to their own site only; that one counts where Host names another machine than the page's.
        """
        own = asked.headers.get("host", "")
        netloc = origin.partition("://")[2].partition("/")[0]
        if netloc in (own, asked.headers.get("x-forwarded-host")):
            return ""
        if self._key:
            if _same(asked.query_params.get("key", ""), self._key):
                return ""
            if _hostname(netloc) != _hostname(own) and _same(_cookie(asked, KEY_COOKIE), self._key):
                return ""
        return f"The proxy between passes on Host {own!r} instead of {netloc!r}: `proxy_set_header Host $http_host;`"

    def why_no_socket(self, asked: HTTPConnection) -> str:
        """What a page is told that asks with `?origin=` why its socket fails."""
        return self.origin_problem(asked, asked.query_params.get("origin", "")) or _NO_UPGRADE

    def _checked(self, asked: HTTPConnection) -> str:
        """The secret that was shown. Raises Refused."""
        if not asked.scope.get("raw_path", b"/").startswith(b"/"):
            raise Refused(HTTPStatus.BAD_REQUEST, "not an HTTP/1.1 request")
        self._check_host(asked)
        _check_site(asked)
        given = "" if asked.scope["path"] in self._open else self._check_token(asked)
        is_socket = asked.scope["type"] == "websocket"
        if is_socket or asked.scope["method"] not in {"GET", "HEAD"}:
            origin = asked.headers.get("origin")
            if origin is not None and self.origin_problem(asked, origin):
                what = "WebSocket" if is_socket else asked.scope["method"]
                raise Refused(HTTPStatus.FORBIDDEN, f"{what} from another origin")
        if is_socket:
            stay(asked.scope)
        return given

    def _check_host(self, asked: HTTPConnection) -> None:
        # A page on another site that resolves its own name to 127.0.0.1 (DNS rebinding) shows here.
        if self._hosts is None:
            return
        host = _hostname(asked.headers.get("host", ""))
        if host not in self._hosts and not is_loopback(host):
            raise Refused(
                HTTPStatus.FORBIDDEN,
                f"unknown Host {host[:80]!r}: behind a proxy, start with --token, or let it pass on "
                "`proxy_set_header Host localhost;`",
            )

    def _check_token(self, asked: HTTPConnection) -> str:
        if not self._secrets:
            return ""
        kind, _, bearer = asked.headers.get("authorization", "").partition(" ")
        bearer = bearer.strip() if kind.lower() == "bearer" else ""
        for given in (bearer, asked.query_params.get("token", ""), _cookie(asked, self._cookie)):
            whose = [name for secret, name in self._secrets.items() if _same(given, secret)]
            whose += [name for name, place in self._guest(given) if asked.scope["path"].startswith(place)]
            if whose:
                asked.scope.setdefault("state", {})[VISITOR] = whose[0]
                return given
        raise Refused(
            HTTPStatus.UNAUTHORIZED,
            "a valid ?token= or Authorization: Bearer is needed; a token was printed when the server started",
        )

    def _guest(self, given: str) -> list[tuple[str, str]]:
        return [guest for secret, guest in self._guests.items() if _same(given, secret)]

    def _cookies(self, asked: HTTPConnection, given: str) -> list[tuple[str, str, bool]]:
        """(name, value with its rules, whether on pages only)."""
        root = forwarded_root(asked, self._root)
        place = root + next((place for _, place in self._guest(given)), "/")
        tls = asked.url.scheme in {"https", "wss"} or asked.headers.get("x-forwarded-proto") == "https"
        secure = "; Secure" if tls else ""
        shown = given if given and not asked.headers.get("authorization") else ""
        kept = ((self._cookie, shown, place, False), (KEY_COOKIE, self._key, f"{root}/", True))
        return [
            (name, f"{name}={quote(value, safe='')}; HttpOnly; SameSite=Strict; Path={path}{secure}", page)
            for name, value, path, page in kept
            if value
        ]


class _Answer:
    """Sends an answer with our headers, in pieces that a slow reader cannot pile up."""

    def __init__(self, send: Send, policy: str, framed_by: str) -> None:
        self._send, self._policy, self._framed_by, self.begun = send, policy, framed_by, False
        self.cookies: list[tuple[str, str, bool]] = []

    async def __call__(self, message: Message) -> None:
        kind = message["type"]
        if kind in {"http.response.start", "websocket.http.response.start", "websocket.accept", "websocket.close"}:
            self.begun = True
        if kind == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS:
                headers.setdefault(name, value)
            policy, own = headers.get("Content-Security-Policy", self._policy), "frame-ancestors 'self'"
            headers["Content-Security-Policy"] = policy.replace(own, f"{own} {self._framed_by}".strip())
            headers["Connection"] = "close"
            is_page = headers.get("content-type", "").startswith("text/html")
            for _, value, on_pages in self.cookies:
                if is_page or not on_pages:
                    headers.append("Set-Cookie", value)
        elif kind == "http.response.body" and len(body := message.get("body", b"")) > PIECE:
            for start in range(0, len(body) - PIECE, PIECE):
                await self._send({"type": kind, "body": body[start : start + PIECE], "more_body": True})
            message = {**message, "body": body[(len(body) - 1) // PIECE * PIECE :]}
        await self._send(message)


def is_loopback(host: str) -> bool:
    """Whether an address or name stays on this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def forwarded_root(asked: HTTPConnection, root: str = "") -> str:
    """What stands before every path as visitors see it: what a proxy says of it, or `root`."""
    told = asked.headers.get("x-forwarded-prefix", "").rstrip("/")
    plain = told.startswith("/") and not told.startswith("//") and all(c.isalnum() or c in "/-_.~" for c in told)
    return told if plain and told.isascii() else root


def guest_secret(secret: str, place: str) -> str:
    """What lets a guest of `secret` into one place; the secret cannot be guessed from it."""
    return hmac.new(secret.encode(), f"guest of {place}".encode(), "sha256").hexdigest()[:32]


def page_key(secret: str) -> str:
    """What a page is given so that its sockets are let in: pages of other sites cannot read it."""
    return hmac.new(secret.encode(), b"page", "sha256").hexdigest()[:32]


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _cookie(asked: HTTPConnection, name: str) -> str:
    """The value of a cookie as it was set; nothing where it was not."""
    return unquote(asked.cookies.get(name, ""))


def _hostname(netloc: str) -> str:
    try:
        return urlsplit("//" + netloc).hostname or ""
    except ValueError:
        return ""


def _check_site(asked: HTTPConnection) -> None:
    # Browsers say when another site embeds or fetches something of ours. Following a link is all right.
    headers = asked.headers
    follows_link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    if headers.get("sec-fetch-site") == "cross-site" and not follows_link:
        raise Refused(HTTPStatus.FORBIDDEN, "asked for by another site")
