"""What singing changes: the mouth inside notes, against the same song spoken."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gtalk.basis import mouth_aperture
from gtalk.dub.sung import singing
from gtalk.hearing.notes import heard_song
from gtalk.media.audio import read_audio
from gtalk.motion.model.model import load_motion_model
from gtalk.motion.produce import drive, drive_whole
from gtalk.speech.base import RATE_HZ

_SHUT = 0.15  # of the song's wide opening
_VIBRATO_HZ = (4.0, 8.0)


def sing(avatar: Path, song_file: Path) -> None:
    """Spread of the opening inside notes, time in which notes are shut, coherence with the vibrato."""
    model, samples = load_motion_model(avatar), read_audio(song_file).samples
    song = heard_song([samples])
    edit = singing(song, lambda edits: drive(model, [samples], 0, edits))
    spoken, sung = drive_whole(model, samples), drive_whole(model, samples, edits=(edit,))
    print(f"{song_file.name}: {len(song.notes)} notes, held {song.share:.2f}, found as sung: {song.is_sung}")
    wide = float(np.quantile(mouth_aperture(spoken.landmarks), 0.95))
    for name, motion in (("spoken", spoken), ("sung", sung)):
        opening, fps = mouth_aperture(motion.landmarks), motion.fps
        parts = [opening[round((n.start_s + 0.08) * fps) : round((n.end_s - 0.08) * fps)] for n in song.notes]
        parts = [part for part in parts if len(part) > 1]
        spread = np.median([part.std() for part in parts]) * 1000
        shut = np.mean(np.concatenate(parts) < _SHUT * wide)
        print(
            f"  {name}: spread inside notes {spread:.2f} mm, shut {shut:.1%}, coherence {_coherent(song, motion):.2f}"
        )


def _coherent(song, motion) -> float:
    """Correlation of opening and vibrato in the vibrato's band, over notes of half a second or more."""
    opening = mouth_aperture(motion.landmarks)
    found = []
    for note in song.notes:
        a, b = round(note.start_s * motion.fps), round(note.end_s * motion.fps)
        if b - a < 0.5 * motion.fps:
            continue
        at = np.arange(a, min(b, len(opening)))
        pitch = np.interp(at / motion.fps, np.arange(len(song.vibrato)) / RATE_HZ, song.vibrato)
        both = [_banded(x, motion.fps) for x in (pitch, opening[at])]
        found.append(np.vdot(*both) / max(np.linalg.norm(both[0]) * np.linalg.norm(both[1]), 1e-12))
    return float(np.median(found)) if found else float("nan")


def _banded(values: np.ndarray, fps: float) -> np.ndarray:
    spectrum = np.fft.rfft((values - values.mean()) * np.hanning(len(values)))
    hz = np.fft.rfftfreq(len(values), 1.0 / fps)
    return np.fft.irfft(np.where((hz >= _VIBRATO_HZ[0]) & (hz <= _VIBRATO_HZ[1]), spectrum, 0), len(values))
