"""Which part of a recording to do again for each thing that the report complains of."""

from __future__ import annotations

import re
from typing import Any

_REMEDIES = (
    ("silence", "silence", r"s of silence"),
    ("turn", "turn", r"head turns"),
    ("blink", "silence", r"hardly a blink"),
    ("short", "read", r"short for learning|s long$"),
    ("faceless", "read", r"no face in"),
    ("no_sound", "read", r"no sound"),
    ("quiet", "read", r"voice is quiet"),
    ("clipped", "read", r"sound is clipped"),
    ("noise", "read", r"below the voice"),
    ("small", "read", r"px high"),
    ("soft", "read", r"image is soft"),
    ("motion_blur", "read", r"motion blur"),
    ("burnt", "read", r"burnt out"),
    ("dark", "read", r"drown in black"),
    ("background", "read", r"background moves"),
    ("camera", "read", r"camera (drifts|moves)"),
    ("mouth", "read", r"before the mouth"),
    ("another", "read", r"another (person|face)"),
)  # fmt: skip
"""(name of the complaint for the page's texts, part to do again, how the report's sentence is known)."""


_FAULTS = (
    ("too_short", r"frames with a face at|at least \d+ frames"),
    ("no_face", r"expected a face that looks towards the camera|training frames with a face"),
    ("other_take", r"expression take .* expected the person of the clip"),
    ("disk_full", r"room on the disk"),
    ("memory", r"not enough memory"),
)
"""(name of the fault for the page's texts, how the command's sentence is known)."""


def fault_name(text: str) -> str:
    """What the page calls the reason that a command gave for failing; nothing where its own words have to do."""
    return next((name for name, pattern in _FAULTS if re.search(pattern, text)), "")


def advice(verdict: dict[str, Any] | None) -> dict[str, Any] | None:
    """The verdict of a dataset's manifest with, for each problem, its name and the part to record again.

    Returns `word`, and `problems` of `text`, `name` and `redo`; what no recording mends has an empty `redo`.
    """
    if not isinstance(verdict, dict):
        return None
    found = [_known(str(text)) for text in verdict.get("problems", [])]
    once = {one["name"] or one["text"]: one for one in reversed(found)}  # two sentences may be about one thing
    return {"word": str(verdict.get("word", "")), "problems": [one for one in found if one in once.values()]}


def _known(text: str) -> dict[str, str]:
    for name, part, pattern in _REMEDIES:
        if re.search(pattern, text):
            return {"text": text, "name": name, "redo": part}
    return {"text": text, "name": "", "redo": ""}
