"""The sound of a dataset, as samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gtalk.errors import UserError
from gtalk.media.audio import read_wav
from gtalk.shapes import Float
from gtalk.types import AUDIO_RATE


def read_samples(path: Path) -> Float[np.ndarray, " N"]:
    """Samples of a wav file at AUDIO_RATE. Raises UserError for another rate or an unreadable file."""
    track = read_wav(path)
    if track.sample_rate != AUDIO_RATE:
        raise UserError(
            f"sound file {path}",
            expected=f"{AUDIO_RATE} samples a second",
            got=str(track.sample_rate),
            remedy="Run `gtalk prepare` again.",
        )
    return track.samples
