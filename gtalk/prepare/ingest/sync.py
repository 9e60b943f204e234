"""sound.wav -> audio.wav: every clip's sound brought in time with its lips (`clip.av_offset`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from gtalk.errors import UserError
from gtalk.media.audio import read_wav, write_wav
from gtalk.prepare.ingest.av_offset import Offset, find_parts
from gtalk.prepare.ingest.foreign_sound import foreign_stretches
from gtalk.prepare.records import load_landmarks
from gtalk.prepare.stages import Job
from gtalk.progress import track
from gtalk.shapes import Float
from gtalk.types import AUDIO_RATE, VIDEO_FPS, AudioTrack

LARGEST_S = 2.0
"""A sound that is farther off is another sound."""


def run_sync(job: Job) -> dict[str, Any]:
    """Write audio.wav and say for each clip how late its sound was and what was done about it."""
    wanted = check_av_offset(job.config.av_offset)
    landmarks = load_landmarks(job.root / "landmarks.npz")
    samples = read_wav(job.root / "sound.wav").samples
    cuts = [segment["start"] for segment in job.facts["media"]["segments"]]
    clips, foreign, sources = [], [], job.facts["media"]["sources"]
    for source in track(sources, "sync", len(sources), job.on_progress):
        start, stop = source["start"], source["start"] + source["n_frames"]
        own = slice(*(round(frame * AUDIO_RATE / VIDEO_FPS) for frame in (start, stop)))
        shots = [cut - start for cut in cuts if start < cut < stop]
        points, valid = landmarks.points_px[start:stop], landmarks.valid[start:stop]
        parts: list[tuple[int, int, Offset | None]] = [(0, stop - start, None)]
        if wanted == "auto" and source["audio"] is not None:
            parts = find_parts(points, valid, samples[own], VIDEO_FPS, shots)
        for first, last, found in parts:
            part = slice(*(round((start + frame) * AUDIO_RATE / VIDEO_FPS) for frame in (first, last)))
            correction_s = wanted if wanted != "auto" else found.correction_s if found is not None else 0.0
            samples[part] = advanced(samples[part], correction_s)
        clips.append(describe_parts(source["name"], source["audio"] is not None, wanted, parts))
        if source["audio"] is not None:
            stretches = foreign_stretches(points, valid, samples[own], VIDEO_FPS, shots)
            foreign += [{"start": start + one.start, "stop": start + one.stop, "what": one.what} for one in stretches]
    write_wav(job.root / "audio.wav", AudioTrack(samples))
    return {"clips": clips, "foreign": foreign}


def check_av_offset(value: Literal["auto"] | float) -> Literal["auto"] | float:
    """The value itself. Raises UserError when it is no possible offset."""
    if value == "auto" or (np.isfinite(value) and abs(value) <= LARGEST_S):
        return value
    raise UserError(
        "--av-offset",
        expected=f'"auto", or seconds between -{LARGEST_S:g} and {LARGEST_S:g}',
        got=f"{value}",
        remedy="Give how much later than the lips the sound comes, or leave the default.",
    )


def advanced(samples: Float[np.ndarray, " N"], seconds: float) -> Float[np.ndarray, " N"]:
    """Sound that comes `seconds` earlier (later where negative), as long as before; what is missing is silence."""
    shift = round(seconds * AUDIO_RATE)
    if shift >= 0:
        return np.pad(samples[shift:], (0, min(shift, len(samples))))
    return np.pad(samples[:shift], (min(-shift, len(samples)), 0))


def describe_parts(
    name: str, heard: bool, wanted: Literal["auto"] | float, parts: Sequence[tuple[int, int, Offset | None]]
) -> dict[str, Any]:
    """`describe` of a clip whose parts may be off differently; its numbers are the longest part's."""
    longest = max(parts, key=lambda part: part[1] - part[0])
    facts: dict[str, Any] = dict(describe(name, heard, wanted, longest[2]))
    if len(parts) > 1:
        told = [
            (first / VIDEO_FPS, last / VIDEO_FPS, describe(name, heard, wanted, found)) for first, last, found in parts
        ]
        facts["parts"] = [{"from_s": a, "to_s": b, "corrected_s": one["corrected_s"]} for a, b, one in told]
        facts["words"] = f"{len(parts)} parts whose sound is off differently: " + "; ".join(
            f"{a:.0f} to {b:.0f} s, {one['words']}" for a, b, one in told
        )
    return facts


def describe(
    name: str, heard: bool, wanted: Literal["auto"] | float, found: Offset | None
) -> dict[str, str | float | None]:
    """Facts of one clip: numbers, and a sentence for people."""
    facts: dict[str, str | float | None] = {"name": name, "corrected_s": 0.0, "late_s": None, "confidence": None}
    if not heard:
        return facts | {"words": "no sound, so nothing to bring in time"}
    if wanted != "auto":
        return facts | {"corrected_s": wanted, "words": f"moved by {1000 * wanted:+.0f} ms as --av-offset says"}
    if found is None:
        return facts | {"words": "too little speech with a face in view to tell whether sound and lips are in time"}
    facts |= {"late_s": found.late_s, "confidence": found.confidence, "corrected_s": found.correction_s}
    facts |= {"explained": found.explained, "chance": found.chance}
    when = f"{abs(1000 * found.late_s):.0f} ms {'late' if found.late_s > 0 else 'early'}"
    if not found.sure:
        return facts | {
            "words": "could not tell whether sound and lips are in time: left as it is "
            f"(confidence {found.confidence:.0%})"
        }
    if not found.correction_s:
        return facts | {
            "words": f"sound and lips are in time, to within {1000 * found.limit_s:.0f} ms "
            f"(confidence {found.confidence:.0%})"
        }
    return facts | {"words": f"the sound came {when}: corrected (confidence {found.confidence:.0%})"}
