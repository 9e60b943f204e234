"""A real singer beside the avatar that is given the same song: do its lips open when hers do?"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gtalk.basis import mouth_aperture
from gtalk.dub.config import DubConfig
from gtalk.dub.sung import known_lyrics, singing, voice_of
from gtalk.hearing.notes import heard_song
from gtalk.media.video import read_video
from gtalk.motion.model.model import load_motion_model
from gtalk.motion.produce import drive, drive_whole
from gtalk.prepare.landmarks.detectors import FaceMeshFinder

_LAGS_S = 0.2
_UPPER, _LOWER, _EYES = 13, 14, (33, 263)


def singer(avatar: Path, clip: Path, lyrics: Path | None = None) -> None:
    """Correlation of the opening with the real singer's at the best lag within .2 s, speech mode and singing modes."""
    model, fps = load_motion_model(avatar), 25.0
    real = real_opening(clip, fps)
    modes = {
        "speech": DubConfig(),
        "sing": DubConfig(sing="on"),
        "speech, voice told from the song": DubConfig(accompanied=True),
        "sing, voice told from the song": DubConfig(sing="on", accompanied=True),
    }
    if lyrics is not None:
        modes["sing, voice told from the song, lyrics"] = DubConfig(sing="on", accompanied=True, lyrics=lyrics)
    for name, config in modes.items():
        samples = np.concatenate(list(voice_of(clip, config)))
        known, song = known_lyrics(clip, config), heard_song([samples])
        edits = ()
        if config.sing == "on" and song.notes:
            edits = (singing(song, lambda more, s=samples, k=known: drive(model, [s], 0, more, k)),)
        opening = mouth_aperture(drive_whole(model, samples, edits=edits, known=known).landmarks)
        best, lag_s = best_correlation(opening, real, fps)
        print(f"{name}: r {best:.3f} at {lag_s:+.2f} s, {len(song.notes)} notes, held {song.share:.2f}", flush=True)


def real_opening(clip: Path, fps: float) -> np.ndarray:
    """Of the inner lips, in parts of the outer eye distance; NaN where no face is seen."""
    finder, out = FaceMeshFinder(), []
    for image in read_video(clip):
        faces = finder.find(np.ascontiguousarray(image))
        if not faces:
            out.append(np.nan)
            continue
        p = faces[0].points[:, :2].astype(np.float64)
        out.append(np.linalg.norm(p[_UPPER] - p[_LOWER]) / np.linalg.norm(p[_EYES[0]] - p[_EYES[1]]))
    finder.close()
    own_fps = read_video(clip).fps
    at = np.arange(round(len(out) / own_fps * fps)) / fps
    return np.interp(at, np.arange(len(out)) / own_fps, np.array(out))


def best_correlation(made: np.ndarray, real: np.ndarray, fps: float) -> tuple[float, float]:
    """(correlation, lag in seconds by which the made one is later)."""
    found = []
    for lag in range(-round(_LAGS_S * fps), round(_LAGS_S * fps) + 1):
        a, b = made[max(0, lag) :], real[max(0, -lag) :]
        count = min(len(a), len(b))
        a, b = a[:count], b[:count]
        seen = np.isfinite(b)
        found.append((float(np.corrcoef(a[seen], b[seen])[0, 1]), lag / fps))
    return max(found)
