"""What a page of the live view is given so that it draws the avatar by itself."""

from __future__ import annotations

import threading
from dataclasses import asdict
from functools import cached_property

from gtalk.avatar.base import Sitter
from gtalk.avatar.gaussian import GaussianAvatar
from gtalk.export.web.pack import pack_avatar
from gtalk.export.web.rows import pack_row
from gtalk.export.web.site import MODULES, jpeg, module
from gtalk.marks.identity import Identity
from gtalk.types import Motion


class Drawn:
    """One avatar for all pages of a server."""

    def __init__(self, avatar: GaussianAvatar, identity: Identity) -> None:
        self._avatar, self._identity, self._lock = avatar, identity, threading.Lock()

    @staticmethod
    def of(avatar: Sitter, identity: Identity) -> Drawn | None:
        """None for an avatar that holds no Gaussians."""
        return Drawn(avatar, identity) if isinstance(avatar, GaussianAvatar) else None

    def numbers(self, motion: Motion) -> bytes:
        """One frame of motion."""
        return pack_row(self._avatar, motion)

    def modules(self) -> dict[str, bytes]:
        """What draws, by name."""
        return {name: module(name) for name in MODULES}

    def plate(self) -> bytes:
        """The room, as JPEG."""
        return jpeg(self._avatar.plate)

    def avatar(self) -> bytes:
        """avatar.bin: seconds of work when first asked for. From any thread."""
        with self._lock:
            return self._packed

    @cached_property
    def _packed(self) -> bytes:
        return pack_avatar(self._avatar, asdict(self._identity))
