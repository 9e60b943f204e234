"""Whether generated motion is named by its style."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gtalk.direct.style import Style, learn_style
from gtalk.direct.style_edit import StyleEdit
from gtalk.media.audio import read_audio
from gtalk.motion.model.model import load_motion_model
from gtalk.motion.produce import drive_whole


def style(avatar: Path, sound: Path, *styles: str) -> None:
    """Which style the change that each style makes points at."""
    model = load_motion_model(avatar)
    plain = drive_whole(model, read_audio(sound).samples)
    usual = learn_style([plain]).vector()
    known = {name: Style.load(Path(name)) for name in styles}
    for name, one in known.items():
        change = learn_style([StyleEdit(model, one)(plain)]).vector() - usual
        towards = {n: _cosine(change, s.vector() - usual) for n, s in known.items()}
        nearest = max(towards, key=lambda n: towards[n])
        print(f"{Path(name).name}: {'right' if nearest == name else Path(nearest).name}, {towards[name]:.2f}")


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-9))
