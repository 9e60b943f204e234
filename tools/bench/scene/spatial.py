"""How well directions are heard, and whether the face is there in time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from gtalk.direct.gaze import gaze_in_room
from gtalk.dub.heard import heard_sources
from gtalk.hearing.diarise import found_turns
from gtalk.hearing.direction import directions
from gtalk.hearing.tracker import AHEAD_DEG
from gtalk.hearing.turns import error_of, read_rttm
from gtalk.media.audio import read_audio, stream_channels
from gtalk.media.source import probe
from gtalk.motion.model.model import load_motion_model
from gtalk.types import Motion

_EDGE_S = 0.15  # half a window, which sees both sides of a change
_AFTER_S = 0.6


def azimuth(sound: Path, truth: Path) -> None:
    """Errors of windows inside segments, against JSON with `segments` of start_s, end_s, azimuth_deg."""
    segments = json.loads(truth.read_text())["segments"]
    rate = probe(sound).audio_rate
    found = [one for one in directions(stream_channels(sound), rate) if one.sure >= 0.3]
    errors: list[float] = []
    for segment in segments:
        inside = [o for o in found if segment["start_s"] + _EDGE_S <= o.time_s < segment["end_s"] - _EDGE_S]
        off = np.abs([o.azimuth_deg - segment["azimuth_deg"] for o in inside])
        errors += off.tolist()
        print(f"{segment['azimuth_deg']:6.0f} deg: {len(inside)} windows, error median {np.median(off):.1f} deg")
    print(f"all: median {np.median(errors):.1f} deg, 90th percentile {np.percentile(errors, 90):.1f} deg")
    for source in heard_sources(sound)[0]:
        print(
            f"  {source.start_s:6.2f} s: {'silence' if source.azimuth_deg is None else f'{source.azimuth_deg:.0f} deg'}"
        )


def gaze(avatar: Path, motion_file: Path, truth: Path) -> None:
    """Where eyes and head of a dub's saved motion look from .6 s after each change on, sources within 40 degrees."""
    motion, model = Motion.load(motion_file), load_motion_model(avatar)
    looked = np.rad2deg(gaze_in_room(motion, model))[:, 0]
    for segment in json.loads(truth.read_text())["segments"]:
        a, b = (round(segment[k] * motion.fps) for k in ("start_s", "end_s"))
        there = looked[a + round(_AFTER_S * motion.fps) : b]
        off = np.abs(there - segment["azimuth_deg"])
        wanted = segment["azimuth_deg"]
        print(f"{wanted:6.0f} deg: looks at {np.median(there):.1f} deg, within 6 deg {np.mean(off <= 6):.0%}")


def turns(sound: Path, truth: Path) -> None:
    """Diarisation error of turns that are found, with as many speakers as there are."""
    true, track = read_rttm(truth), read_audio(sound)
    found = found_turns(track.samples, len({turn.speaker for turn in true}))
    print(f"{len(found)} turns, error {error_of(found, true, track.duration_s):.3f}")


def still(sounds: list[Path]) -> None:
    """Turns away from the camera that sounds cause: there should be none in mono speech and in wide music."""
    for path in sounds:
        sources, length_s, told = heard_sources(path)
        turns = [s for s in sources if s.azimuth_deg is not None and abs(s.azimuth_deg) >= AHEAD_DEG]
        print(f"{path.name}: {length_s:.0f} s, {len(turns)} turns {' '.join(told)}")
