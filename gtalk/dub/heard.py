"""What a face hears while it is filmed: a stereo recording, to whose sounds it turns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gtalk.direct.directors.sound import events_of_sources
from gtalk.direct.score import Event
from gtalk.hearing.direction import DirectionFinder
from gtalk.hearing.tracker import Source, SourceTracker, require_two_ears
from gtalk.media.audio import no_sound, stream_channels
from gtalk.media.source import probe


def heard_sources(path: Path) -> tuple[list[Source], float, tuple[str, ...]]:
    """(what is heard from where, how long the recording is in seconds, what there is to say), in constant memory.

    Raises UserError for a sound that is not two channels, or of which one is silent.
    """
    info = probe(path)
    if not info.has_audio:
        raise no_sound(path)
    what = f"hears {path}"
    require_two_ears(info.audio_channels, np.ones(info.audio_channels), what)
    finder, tracker = DirectionFinder(info.audio_rate), SourceTracker()
    out: list[Source] = []
    levels, count = np.zeros(2), 0
    for piece in stream_channels(path):
        out += tracker.push(finder.push(piece))
        levels, count = np.maximum(levels, np.abs(piece).max(0, initial=0.0)), count + len(piece)
    require_two_ears(2, levels, what)
    out += tracker.silent_until(count / info.audio_rate)
    told = (
        f"{what}: the louder channel is mostly the later one, as where one is swapped or delayed; what contradicts "
        "itself turns no head",
    )
    return out, count / info.audio_rate, told if tracker.contradicts else ()


def events_of_hearing(
    path: Path, own: Sequence[tuple[float, float]], duration_s: float, mirrored: bool
) -> tuple[list[Event], tuple[str, ...]]:
    """What the face does about the recording while it speaks in the spans `own`, and what there is to say."""
    sources, length_s, told = heard_sources(path)
    return events_of_sources(sources, min(duration_s, length_s), own, mirrored), told
