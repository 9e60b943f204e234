"""The formats of `gtalk export`, by name: a new one is one line of FORMATS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from gtalk.avatar.gaussian import GaussianAvatar
from gtalk.avatar.radiance import RadianceAvatar
from gtalk.errors import UserError
from gtalk.export.glb import write_glb
from gtalk.export.ply import Axes, is_sequence, write_ply, write_ply_sequence
from gtalk.export.skin import rig_of_avatar, skin_of_avatar
from gtalk.export.splats import write_splat, write_splats_glb, write_spz
from gtalk.export.web.message import pack_message
from gtalk.export.web.site import idle_motion, is_site, write_site
from gtalk.files import atomic_path
from gtalk.progress import OnProgress, silent
from gtalk.talk import Character
from gtalk.types import Motion


@dataclass(frozen=True)
class Export:
    """What is asked for."""

    folder: Path
    """The avatar's."""
    character: Character
    output: Path
    motion: Motion | None = None
    """As it fits this face."""
    frame: int = 0
    """Which frame of the motion, for a format that holds one."""
    sound: Path | None = None
    """What is heard with the motion."""
    captions: str = ""
    """WebVTT, for a message."""
    axes: Axes = "viewers"
    """Of ply files."""


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
    ours: Callable[[Path], bool] = lambda _: False
    """Whether a folder holds an older output of this format and nothing else, so that it may be replaced."""


def export(format_name: str, asked: Export, on_progress: OnProgress = silent) -> None:
    """Write an avatar. Raises UserError for a kind of avatar that a format cannot hold, or a missing motion."""
    form = FORMATS[format_name]
    if asked.character.avatar.kind not in form.kinds:
        raise UserError(f"avatar {asked.folder}", expected=f"one of kind {' or '.join(sorted(form.kinds))}",
                        got=f"kind {asked.character.avatar.kind}", remedy=form.lacks)  # fmt: skip
    form.write(asked, on_progress)


def _gaussians(asked: Export) -> GaussianAvatar:
    assert isinstance(asked.character.avatar, GaussianAvatar)
    return asked.character.avatar


def _moving(asked: Export, why: str) -> Motion:
    if asked.motion is None:
        raise UserError("--motion", expected=f"a motion file or --audio, since {why}", got="none",
                        remedy="Make one with `gtalk motion drive AVATAR AUDIO -o X.motion.npz`.")  # fmt: skip
    return asked.motion


def _frame(asked: Export) -> Motion | None:
    motion = asked.motion
    if motion is not None and not 0 <= asked.frame < len(motion):
        raise UserError("--frame", expected=f"0 to {len(motion) - 1}", got=str(asked.frame),
                        remedy="Name a frame of the motion.")  # fmt: skip
    return None if motion is None else motion[asked.frame]


def _ply(asked: Export, _on_progress: OnProgress) -> None:
    write_ply(_gaussians(asked), asked.output, _frame(asked), asked.axes)


def _splat(asked: Export, _on_progress: OnProgress) -> None:
    write_splat(_gaussians(asked), asked.output, _frame(asked), asked.axes)


def _spz(asked: Export, _on_progress: OnProgress) -> None:
    write_spz(_gaussians(asked), asked.output, _frame(asked))


def _splats_glb(asked: Export, _on_progress: OnProgress) -> None:
    write_splats_glb(_gaussians(asked), asked.output, _frame(asked), asked.character.identity.person)


def _ply_sequence(asked: Export, on_progress: OnProgress) -> None:
    motion = _moving(asked, "a sequence follows one")
    write_ply_sequence(_gaussians(asked), motion, asked.output, on_progress, asked.axes)


def _glb(asked: Export, _on_progress: OnProgress) -> None:
    avatar = asked.character.avatar
    rig = rig_of_avatar(asked.folder, avatar)
    skin = skin_of_avatar(avatar, rig) if isinstance(avatar, GaussianAvatar | RadianceAvatar) else None
    write_glb(asked.output, rig, asked.motion, skin, asked.character.identity.person)


def _web(asked: Export, _on_progress: OnProgress) -> None:
    character = asked.character
    write_site(_gaussians(asked), asked.output, character.identity, idle_motion(character), asked.motion, asked.sound,
               asked.captions, speaks=character.motion_model)  # fmt: skip


def _message(asked: Export, _on_progress: OnProgress) -> None:
    motion, identity = _moving(asked, "a message moves"), asdict(asked.character.identity)
    data = pack_message(_gaussians(asked), motion, identity, asked.sound, asked.captions)
    with atomic_path(asked.output) as temporary:
        temporary.write_bytes(data)


_GAUSSIANS = frozenset({GaussianAvatar.kind})
_FIT_GAUSSIANS = "Fit it with --renderer gaussian; a radiance field holds no Gaussians to export."
FORMATS = {
    "ply": Format(_ply, _GAUSSIANS, _FIT_GAUSSIANS),
    "ply-sequence": Format(_ply_sequence, _GAUSSIANS, _FIT_GAUSSIANS, is_folder=True, ours=is_sequence),
    "splat": Format(_splat, _GAUSSIANS, _FIT_GAUSSIANS),
    "spz": Format(_spz, _GAUSSIANS, _FIT_GAUSSIANS),
    "splats-glb": Format(_splats_glb, _GAUSSIANS, _FIT_GAUSSIANS),
    "glb": Format(_glb, _GAUSSIANS | {RadianceAvatar.kind}, "Its mesh comes from an avatar that `gtalk fit` made."),
    "web": Format(_web, _GAUSSIANS, _FIT_GAUSSIANS, is_folder=True, ours=is_site),
    "message": Format(_message, _GAUSSIANS, _FIT_GAUSSIANS),
}
