"""Arousal that is heard in takes, each behind a neutral one of the same speaker."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gtalk.direct.directors.voice import RunningNeutral, phrases_of
from gtalk.media.audio import read_audio


def voice(neutral: Path, *takes: str) -> None:
    """Arousal of each take, heard behind a neutral one."""
    for take in takes:
        running = RunningNeutral()
        for phrase in phrases_of(read_audio(neutral).samples):
            running.arousal(phrase)
        heard = [running.arousal(phrase) for phrase in phrases_of(read_audio(Path(take)).samples)]
        print(f"{Path(take).name}: {np.mean(heard) if heard else 0.0:+.2f}")
