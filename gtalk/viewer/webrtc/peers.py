"""The peers of one session: how many, by what name, until when."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

from gtalk.errors import UserError
from gtalk.hosting.budget import Budget
from gtalk.viewer.live.session import LiveSession
from gtalk.viewer.webrtc.ice import IceServer

if TYPE_CHECKING:
    from gtalk.viewer.webrtc.peer import Peer

MOST_PEERS = 8
"""Of a session: each has its picture encoded for itself, some 8 ms of a core."""
_ANSWER_S = 12.0
_OPENINGS_A_SECOND, _OPENINGS_AT_ONCE = 2.0, 8.0


class NotNow(Exception):
    """A peer that is not let in, and why."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class Peers:
    """Lets peers in and out. Used in one event loop.

    Args:
        session: what they watch.
        label: whether words in the picture say that it is generated.
        mic: whether they may speak.
        ice: servers that help to find a way.
    """

    def __init__(self, session: LiveSession, *, label: bool, mic: bool, ice: Sequence[IceServer] = ()) -> None:
        self._session, self._label, self._mic = session, label, mic
        self.ice = list(ice)
        self._peers: dict[str, Peer] = {}
        self._n_opening = 0
        self._openings = Budget(_OPENINGS_A_SECOND, _OPENINGS_AT_ONCE)

    def __len__(self) -> int:
        return len(self._peers)

    async def enter(self, sdp: str) -> tuple[str, str]:
        """Take an offer: (name of the peer, answer). Raises UserError for a bad one, NotNow where it cannot be."""
        make = peer_type()
        if len(self._peers) + self._n_opening >= MOST_PEERS:
            raise NotNow(
                HTTPStatus.SERVICE_UNAVAILABLE, f"{MOST_PEERS} peers watch already, as many as a session takes"
            )
        if not self._openings.spend():
            raise NotNow(HTTPStatus.TOO_MANY_REQUESTS, "too many offers; try again in a few seconds")
        name = secrets.token_urlsafe(12)
        self._n_opening += 1
        try:
            peer = make(
                self._session, label=self._label, mic=self._mic, ice=self.ice,
                on_end=lambda: self._peers.pop(name, None) and None,
            )  # fmt: skip
            try:
                async with asyncio.timeout(_ANSWER_S):
                    answer = await peer.answer(sdp)
            except BaseException:
                await peer.close()
                raise
        except TimeoutError as error:
            raise NotNow(
                HTTPStatus.GATEWAY_TIMEOUT, "no way out was found in time; are the --ice servers there?"
            ) from error
        finally:
            self._n_opening -= 1
        self._peers[name] = peer
        return name, answer

    async def leave(self, name: str) -> bool:
        """End a peer; whether there was one."""
        peer = self._peers.get(name)
        if peer is not None:
            await peer.close()
        return peer is not None

    async def close(self) -> None:
        """End all."""
        for peer in list(self._peers.values()):
            await peer.close()


def peer_type() -> type[Peer]:
    """What makes peers. Raises UserError where aiortc is missing."""
    try:
        from gtalk.viewer.webrtc.peer import Peer
    except ImportError as error:
        raise UserError("WebRTC", expected="the package aiortc", got=str(error),
                        remedy="Install it: pip install 'gtalk[webrtc]'.") from error  # fmt: skip
    return Peer
