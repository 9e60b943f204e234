"""From an avatar folder to someone who talks."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gtalk.avatar.base import Avatar, Consent
from gtalk.avatar.bundle import AVATAR_VERSION
from gtalk.compute.device import resolve_device
from gtalk.errors import UserError
from gtalk.marks.identity import Identity
from gtalk.motion.base import EditFactory, HasLive, MotionModel
from gtalk.motion.edits.controls import Controls
from gtalk.talk.talker import Talker
from gtalk.talk.view import View

__all__ = ["AVATAR_VERSION", "Character", "Identity", "load_character"]


_log = logging.getLogger("gtalk")

LookAhead = Literal["file", "live"]
"""How far the silence gate may look ahead of the sound. file: as far as this person opens the lips before speaking.
live: as far as is bearable in a conversation. Nothing else differs between a dub and a live session."""


@dataclass(frozen=True)
class Character:
    """A loaded avatar with its voice-to-motion model: load once, make a Talker for each piece of work."""

    avatar: Avatar
    motion_model: MotionModel | None
    identity: Identity

    def talker(
        self,
        *,
        controls: Controls = Controls(),
        edits: Sequence[EditFactory] = (),
        lookahead: LookAhead = "file",
        seed: int = 0,
        fps: float | None = None,
        view: View = View(),
        batch: int = 1,
    ) -> Talker:
        """What speaks and moves with this face: live, in a dub and in a motion file it is made here.

        Args:
            controls: what its sessions begin with; `TalkSession.post` changes them later.
            edits: what comes before the controls.
            lookahead: "live" where sound is not known before it is heard, see `LookAhead`.
            seed, fps, view, batch: as of `Talker`.

        Raises UserError for another look-ahead, and when controls are asked for and there is no motion model, which
        knows the person's rest.
        """
        last = self._controlled(controls, seed)
        model = self.motion_model
        if lookahead not in ("file", "live"):
            raise UserError("lookahead", expected="file or live", got=str(lookahead), remedy="Did you mean `live`?")
        if lookahead == "live" and isinstance(model, HasLive):
            model = model.for_live()
        return Talker(self.avatar, model, edits=(*edits, *last), seed=seed, fps=fps, view=view, batch=batch)

    def to(self, device: str) -> Character:
        """With the avatar on another device: auto, cpu or cuda. Raises UserError where there is no such device."""
        return dataclasses.replace(self, avatar=self.avatar.to(resolve_device(device)))

    def _controlled(self, controls: Controls, seed: int) -> list[EditFactory]:
        from gtalk.motion.edits.control_edit import ControlEdit
        from gtalk.motion.model.model import PersonMotionModel

        model = self.motion_model
        if isinstance(model, PersonMotionModel):
            return [lambda: ControlEdit(model, controls, seed)]
        if controls != Controls():
            raise UserError("controls", expected="an avatar with a motion model", got="none",
                            remedy="Run `gtalk motion train DATASET -o AVATAR`, or leave them out.")  # fmt: skip
        return []


def load_character(folder: Path) -> Character:
    """Open an avatar folder. Without a motion model in it, only motion files can be rendered.

    A consent that is not the one the weights were made with is told, by the logger `gtalk`.
    """
    from gtalk.avatar.bundle import consent_problem, load_avatar, read_avatar_json
    from gtalk.motion.model.model import has_motion_model, load_motion_model

    folder = Path(folder)
    facts = read_avatar_json(folder)
    model = load_motion_model(folder) if has_motion_model(folder) else None
    consent = Consent.of(facts["consent"])
    if problem := consent_problem(folder, consent):
        _log.warning("avatar %s: %s", folder, problem)
    marked = consent.watermark or bool(problem)  # a choice that is not this avatar's does not count
    identity = Identity.of(facts["tensors_sha256"], consent.person, consent.statement, marked)
    return Character(load_avatar(folder), model, identity)
