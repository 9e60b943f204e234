"""Forced alignment of acted emotions: how far words begin and end from where the sound does.

RAVDESS' two statements are told by the names of its files; others come with their text: `angry.wav "What is said"`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gtalk.errors import UserError
from gtalk.media.audio import read_audio
from gtalk.speech.align import align_words
from gtalk.types import AUDIO_RATE

STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
BELOW_PEAK_DB, FRAME_S = 30.0, 0.01
NEAR_S = 0.15


def words(folder: Path, *others: str) -> None:
    """Each file's first start and last end against the sound, and the medians."""
    takes = [(path, STATEMENTS[path.name.split("-")[4]]) for path in sorted(folder.glob("*-*-*-*-*-*-*.wav"))]
    takes += [(Path(path), text) for path, text in zip(others[::2], others[1::2], strict=True)]
    starts_s, ends_s = [], []
    for path, text in takes:
        samples = read_audio(path).samples
        first_s, last_s = heard(samples)
        try:
            found = align_words(samples, text).words
        except UserError as error:
            print(f"{path.name}: {error.got}")
            continue
        starts_s.append(found[0].start_s - first_s)
        ends_s.append(found[-1].end_s - last_s)
        print(f"{path.name}: begins {starts_s[-1]:+.2f} s, ends {ends_s[-1]:+.2f} s")
    print(f"{len(starts_s)} of {len(takes)} aligned; starts: {_told(starts_s)}; ends: {_told(ends_s)}")


def heard(samples: np.ndarray) -> tuple[float, float]:
    """Seconds at which the sound first and last is within BELOW_PEAK_DB of its peak."""
    size = round(FRAME_S * AUDIO_RATE)
    power = (samples[: len(samples) // size * size].reshape(-1, size).astype(np.float64) ** 2).mean(1)
    loud = np.flatnonzero(power > power.max() * 10.0 ** (-BELOW_PEAK_DB / 10.0))
    return float(loud[0]) * FRAME_S, float(loud[-1] + 1) * FRAME_S


def _told(off_s: Sequence[float]) -> str:
    off = np.array(off_s)
    near = (np.abs(off) <= NEAR_S).sum()
    return f"median {np.median(off):+.2f} s, of sizes {np.median(np.abs(off)):.2f}; {near} within {NEAR_S:g} s"
