"""Servers that help two machines find a way to each other: what `--ice` says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gtalk.errors import UserError

_SERVER = re.compile(
    r"(?P<scheme>stuns?|turns?):(?:(?P<user>[^:@\s]+):(?P<password>[^@\s]+)@)?"
    r"(?P<host>\[[0-9a-fA-F:]+\]|[\w.-]+)(?P<port>:\d{1,5})?(?P<query>\?transport=(?:udp|tcp))?"
)


@dataclass(frozen=True)
class IceServer:
    """A STUN or TURN server."""

    url: str
    username: str | None = None
    credential: str | None = None

    def plain(self) -> dict[str, str]:
        """As browsers take it."""
        names = {"urls": self.url, "username": self.username, "credential": self.credential}
        return {name: value for name, value in names.items() if value is not None}

    @property
    def link(self) -> str:
        """As a `Link` header of WHEP and WHIP tells it (RFC 9725, section 4.6)."""
        words = [f'<{self.url}>; rel="ice-server"']
        if self.username is not None:
            words += [f'username="{self.username}"', f'credential="{self.credential}"', 'credential-type="password"']
        return "; ".join(words)


def ice_servers(words: Sequence[str]) -> list[IceServer]:
    """What `--ice` says: stun:HOST[:PORT] or turn:USER:PASSWORD@HOST[:PORT][?transport=tcp].

    Raises UserError for anything else.
    """
    servers = []
    for word in words:
        found = _SERVER.fullmatch(word)
        if found is None or (found["scheme"].startswith("turn") and found["user"] is None):
            raise UserError("--ice", expected="stun:HOST:PORT or turn:USER:PASSWORD@HOST:PORT", got=repr(word[:80]),
                            remedy="Write it so, several with spaces between.")  # fmt: skip
        url = f"{found['scheme']}:{found['host']}{found['port'] or ''}{found['query'] or ''}"
        servers.append(IceServer(url, found["user"], found["password"]))
    return servers
