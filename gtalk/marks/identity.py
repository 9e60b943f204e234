"""Whose likeness a picture shows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Identity:
    """Whose likeness speaks, for the provenance of what is made with it."""

    avatar_id: str
    """SHA-256 of the avatar's weights, shortened to 16 hexadecimal digits."""
    person: str
    consent_sha256: str
    """Hash of the consent statement: proves which statement was meant without publishing it."""
    watermark: bool = True
    """Whether pictures carry the invisible mark. Off only where the person who consented chose so, in the consent."""

    @staticmethod
    def of(weights_sha256: str, person: str, statement: str, watermark: bool = True) -> Identity:
        """From what an avatar folder says."""
        return Identity(weights_sha256[:16], person, hashlib.sha256(statement.encode()).hexdigest(), watermark)


NOBODY = Identity("0" * 16, "", hashlib.sha256(b"").hexdigest())
"""Where no avatar is known: what is marked says no more than that it was generated."""
