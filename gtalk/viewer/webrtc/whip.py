"""WHIP: picture and sound of a session go to a media server, which is given an offer by HTTP.

    POST   URL          application/sdp, Authorization: Bearer .. -> 201, the answer, Location: the resource
    DELETE the resource  at the end

A server that is not there, refuses or goes is asked again after a while. After RFC 9725; all candidates are in the
offer.
"""

from __future__ import annotations

import asyncio
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from gtalk.viewer.live.session import LiveSession
from gtalk.viewer.outlets.config import TOKEN_NAME, place_of
from gtalk.viewer.webrtc.ice import IceServer
from gtalk.viewer.webrtc.peers import peer_type

_BACK_OFF_S = (1.0, 2.0, 5.0, 10.0, 30.0)
_STEADY_S = 20.0
_PATIENCE_S = 10.0
_LOOK_EVERY_S = 0.1
_MOST_BYTES = 64 * 1024
_MOST_MOVES = 3
_MEANINGS = {
    401: f"it asks for a token: set ${TOKEN_NAME}",
    403: f"it refuses the token in ${TOKEN_NAME}",
    404: "nothing is there",
    405: "it takes no offers there",
    406: "it takes no such offer",
    409: "somebody else sends there already",
    415: "it takes no such offer",
    429: "it asks for patience",
}


class Answer(NamedTuple):
    """What a server says to an offer."""

    sdp: str
    resource: str | None
    """Where it ends."""


class WhipError(Exception):
    """A server that does not answer as it should: in words."""


class Whip:
    """One connection to one media server, in a thread of its own, made again when it breaks.

    Args:
        session: what is sent, with the sound of a microphone that drives it.
        url: where offers go.
        token: bearer token, where one is asked for.
        report: gets a line for each change.
        label: whether words in the picture say that it is generated.
        ice: servers that help to find a way.

    Raises UserError where aiortc is missing.
    """

    def __init__(
        self,
        session: LiveSession,
        url: str,
        token: str | None,
        report: Callable[[str], None],
        *,
        label: bool,
        ice: Sequence[IceServer] = (),
    ) -> None:
        self._make = peer_type()
        self._session, self._url, self._token, self._label, self._ice = session, url, token, label, ice
        self._say = lambda words: report(f"WHIP to {place_of(url)}: {words}")
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = asyncio.Event()
        self._stopped = False

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="gtalk whip", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it, and tell the server."""
        self._stopped = True
        if self._loop is not None and not self._loop.is_closed():
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._over.set)
        if self._thread is not None:
            self._thread.join(timeout=5)

    async def _run(self) -> None:
        self._loop, failures = asyncio.get_running_loop(), 0
        while not self._stopped:
            begun_s = time.monotonic()
            try:
                words = await self._once()
            except Exception as error:  # whatever it is, the conversation lives on
                words = str(error) or type(error).__name__
            if self._stopped:
                return
            failures = 0 if time.monotonic() - begun_s > _STEADY_S else failures
            wait_s = _BACK_OFF_S[min(failures, len(_BACK_OFF_S) - 1)]
            failures += 1
            self._say(f"{words}; trying again in {wait_s:.0f} s")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), wait_s)

    async def _once(self) -> str:
        """One connection until it is over; why it is."""
        ended = asyncio.Event()
        peer = self._make(self._session, label=self._label, mic=False, ice=self._ice, on_end=ended.set, everything=True)
        resource = None
        try:
            answer = await asyncio.to_thread(post_offer, self._url, await peer.offer(), self._token)
            resource = answer.resource
            await peer.accept(answer.sdp)
            connected = False
            while not (ended.is_set() or self._stopped):
                await asyncio.sleep(_LOOK_EVERY_S)
                if peer.state == "connected" and not connected:
                    connected = True
                    self._say("on")
            return "the connection broke" if connected else "no way to it was found"
        finally:
            await peer.close()
            if resource is not None:
                await asyncio.to_thread(_end, resource, self._token)


def post_offer(url: str, sdp: str, token: str | None) -> Answer:
    """Give a server an offer. Raises WhipError for what it says otherwise."""
    for _ in range(_MOST_MOVES + 1):
        try:
            with _ask("POST", url, token, sdp.encode()) as reply:
                body, status, headers = reply.read(_MOST_BYTES + 1), reply.status, reply.headers
        except urllib.error.HTTPError as error:
            with error:
                there = urljoin(url, error.headers.get("Location", ""))
                if error.code not in (307, 308):
                    raise WhipError(_meaning(error.code)) from error
                if urlsplit(there).scheme not in ("https", urlsplit(url).scheme):
                    raise WhipError("it points to a place without encryption") from error
            url = there
            continue
        except (OSError, ValueError) as error:
            raise WhipError(f"not to be reached ({getattr(error, 'reason', error)})") from error
        if status != 201 or not body.startswith(b"v=0") or len(body) > _MOST_BYTES:
            raise WhipError(f"its answer is none: status {status}, {len(body)} bytes")
        place = headers.get("Location")
        return Answer(body.decode(errors="replace"), urljoin(url, place) if place else None)
    raise WhipError("it points from place to place")


def _end(resource: str, token: str | None) -> None:
    with suppress(OSError, ValueError), _ask("DELETE", resource, token):
        pass


def _ask(method: str, url: str, token: str | None, body: bytes | None = None):
    headers = {"Content-Type": "application/sdp"} if body is not None else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, body, headers, method=method)
    return _OPENER.open(request, timeout=_PATIENCE_S)


class _Still(urllib.request.HTTPRedirectHandler):
    """Moves are followed here, not by urllib, which would lose the offer."""

    def redirect_request(self, *_: object) -> None:
        """See urllib."""
        return None


_OPENER = urllib.request.build_opener(_Still)


def _meaning(status: int) -> str:
    return _MEANINGS.get(status, "it has trouble of its own" if status >= 500 else "it refuses") + f" (status {status})"
