"""gtalk: a few minutes of video of one person become a talking portrait that any speech can drive.

    clip.mp4 ──prepare──▶ dataset/ ──fit──▶ avatar/ ──┐
                             │                         ├─▶ Talker ─▶ frames ─┬─▶ live viewer
                             └──train motion──▶ motion model ─┘                └─▶ dubbed video, batch

From Python: `train`, `load`, `Avatar`, `Motion`, `edits`, `write_video` and the others of `__all__`, see docs/api.md.
They are loaded when they are first asked for. Where to read: `types` (what crosses borders, with units and frames of
reference), then the rooms in the order of the data: `prepare`, `dataset`, `avatar` and `fit`, `speech` and `motion`,
`talk`, `dub`, `viewer`, `eval`; docs/architecture.md says who may know whom.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from gtalk.compute.waiting import wait_passively

if TYPE_CHECKING:
    from gtalk import edits
    from gtalk.api import Avatar, load, track, train, write_video
    from gtalk.avatar.base import Consent
    from gtalk.errors import UserError
    from gtalk.making.train import Note, TrainEvent
    from gtalk.motion.edits.controls import Controls
    from gtalk.progress import Progress
    from gtalk.talk import TalkSession
    from gtalk.types import Camera, Frame, Motion, RenderOutput

__all__ = [
    "Avatar", "Camera", "Consent", "Controls", "Frame", "Motion", "Note", "Progress", "RenderOutput", "TalkSession",
    "TrainEvent", "UserError", "edits", "load", "track", "train", "write_video",
]  # fmt: skip

_HOME = {
    **dict.fromkeys(("Avatar", "load", "track", "train", "write_video"), "api"),
    "Consent": "avatar.base",
    "Controls": "motion.edits.controls",
    **dict.fromkeys(("Note", "TrainEvent"), "making.train"),
    "Progress": "progress",
    "TalkSession": "talk",
    "UserError": "errors",
    **dict.fromkeys(("Camera", "Frame", "Motion", "RenderOutput"), "types"),
}


wait_passively()  # before anything imports torch


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version  # pyproject.toml's, read when asked for

        return version("gtalk")
    if name == "edits":
        return importlib.import_module("gtalk.edits")
    if name in _HOME:
        return getattr(importlib.import_module(f"gtalk.{_HOME[name]}"), name)
    raise AttributeError(f"module 'gtalk' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
