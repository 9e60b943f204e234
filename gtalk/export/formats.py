"""The formats of `gtalk export`, by name: a new one is one line of FORMATS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gtalk.avatar.base import Avatar
from gtalk.avatar.gaussian import GaussianAvatar
from gtalk.avatar.radiance import RadianceAvatar
from gtalk.errors import UserError
from gtalk.export.glb import write_glb
from gtalk.export.ply import write_ply, write_ply_sequence
from gtalk.export.skin import rig_of_avatar, skin_of_avatar
from gtalk.progress import OnProgress, silent
from gtalk.types import Motion


@dataclass(frozen=True)
class Export:
    """What is asked for."""

    folder: Path
    """The avatar's."""
    avatar: Avatar
    output: Path
    motion: Motion | None = None
    """As it fits this face."""
    frame: int = 0
    """Which frame of the motion, for a format that holds one."""
    person: str = ""
    """Whose likeness it is."""


@dataclass(frozen=True)
class Format:
    """How an avatar is written."""

    write: Callable[[Export, OnProgress], None]
    kinds: frozenset[str]
    """Kinds of avatars that can be written so."""
    lacks: str
    """Why another kind cannot, and what to do."""
    is_folder: bool = False
    """Whether it is a folder of files."""


def export(format_name: str, asked: Export, on_progress: OnProgress = silent) -> None:
    """Write an avatar. Raises UserError for a kind of avatar that a format cannot hold, or a missing motion."""
    form = FORMATS[format_name]
    if asked.avatar.kind not in form.kinds:
        raise UserError(f"avatar {asked.folder}", expected=f"one of kind {' or '.join(sorted(form.kinds))}",
                        got=f"kind {asked.avatar.kind}", remedy=form.lacks)  # fmt: skip
    form.write(asked, on_progress)


def _ply(asked: Export, _on_progress: OnProgress) -> None:
    assert isinstance(asked.avatar, GaussianAvatar)
    motion = asked.motion
    if motion is not None and not 0 <= asked.frame < len(motion):
        raise UserError("--frame", expected=f"0 to {len(motion) - 1}", got=str(asked.frame),
                        remedy="Name a frame of the motion.")  # fmt: skip
    write_ply(asked.avatar, asked.output, None if motion is None else motion[asked.frame])


def _ply_sequence(asked: Export, on_progress: OnProgress) -> None:
    assert isinstance(asked.avatar, GaussianAvatar)
    if asked.motion is None:
        raise UserError("--motion", expected="a motion file, since a sequence follows one", got="none",
                        remedy="Make one with `gtalk motion drive AVATAR AUDIO -o X.motion.npz`.")  # fmt: skip
    write_ply_sequence(asked.avatar, asked.motion, asked.output, on_progress)


def _glb(asked: Export, _on_progress: OnProgress) -> None:
    rig = rig_of_avatar(asked.folder, asked.avatar)
    skin = skin_of_avatar(asked.avatar, rig) if isinstance(asked.avatar, GaussianAvatar | RadianceAvatar) else None
    write_glb(asked.output, rig, asked.motion, skin, asked.person)


_GAUSSIANS = frozenset({GaussianAvatar.kind})
_FIT_GAUSSIANS = "Fit it with --renderer gaussian; a radiance field holds no Gaussians to export."
FORMATS = {
    "ply": Format(_ply, _GAUSSIANS, _FIT_GAUSSIANS),
    "ply-sequence": Format(_ply_sequence, _GAUSSIANS, _FIT_GAUSSIANS, is_folder=True),
    "glb": Format(_glb, _GAUSSIANS | {RadianceAvatar.kind}, "Its mesh comes from an avatar that `gtalk fit` made."),
}
