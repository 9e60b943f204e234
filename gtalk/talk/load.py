"""From an avatar folder to someone who talks."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gtalk.avatar.base import Avatar
from gtalk.avatar.bundle import AVATAR_VERSION
from gtalk.errors import UserError
from gtalk.motion.base import MotionEdit, MotionModel
from gtalk.talk.talker import Talker

__all__ = ["AVATAR_VERSION", "Character", "Identity", "load_character", "load_talker"]


@dataclass(frozen=True)
class Identity:
    """Whose likeness speaks, for the provenance of what is made with it."""

    avatar_id: str
    """SHA-256 of the avatar's weights, shortened."""
    person: str
    consent_sha256: str
    """Hash of the consent statement: proves which statement was meant without publishing it."""

    @staticmethod
    def of(weights_sha256: str, person: str, statement: str) -> Identity:
        """From what an avatar folder says."""
        return Identity(weights_sha256[:16], person, hashlib.sha256(statement.encode()).hexdigest())


@dataclass(frozen=True)
class Character:
    """A loaded avatar with its voice-to-motion model: load once, make a Talker for each piece of work."""

    avatar: Avatar
    motion_model: MotionModel | None
    identity: Identity

    def talker(self, **options: Any) -> Talker:
        """A Talker with the options of its constructor."""
        return Talker(self.avatar, self.motion_model, **options)

    def to(self, device: str) -> Character:
        """With the avatar on another device. Raises UserError where there is no such device."""
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise UserError("device", expected="a CUDA device", got="none on this machine", remedy="Use the CPU.")
        return dataclasses.replace(self, avatar=self.avatar.to(device))  # type: ignore[attr-defined]

    def edits(self, seed: int = 0, **controls: Any) -> list[MotionEdit]:
        """The edits that controls ask for (names of `gtalk.motion.edits.controls.Controls`): none at their defaults.

        Raises UserError when there is no motion model, which knows the person's rest and range.
        """
        from gtalk.motion.edits.controls import ControlEdit, Controls
        from gtalk.motion.model.model import PersonMotionModel

        asked = Controls(**controls)
        if asked == Controls():
            return []
        if not isinstance(self.motion_model, PersonMotionModel):
            raise UserError("controls", expected="an avatar with a motion model", got="none",
                            remedy="Run `gtalk motion train DATASET -o AVATAR`, or leave them out.")  # fmt: skip
        return [ControlEdit(self.motion_model, asked, seed)]


def load_character(folder: Path) -> Character:
    """Open an avatar folder. Without a motion model in it, only motion files can be rendered."""
    from gtalk.avatar.bundle import load_avatar, read_avatar_json
    from gtalk.motion.model.model import has_motion_model, load_motion_model

    folder = Path(folder)
    facts = read_avatar_json(folder)
    model = load_motion_model(folder) if has_motion_model(folder) else None
    consent = facts["consent"]
    identity = Identity.of(facts["tensors_sha256"], consent.get("person", ""), consent.get("statement", ""))
    return Character(load_avatar(folder), model, identity)


def load_talker(folder: Path, **options: Any) -> Talker:
    """An avatar folder as a Talker, with the options of its constructor."""
    return load_character(folder).talker(**options)
