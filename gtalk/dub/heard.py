"""What a face hears while it is filmed: a stereo recording, to whose sounds it turns; somebody it listens to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gtalk.direct.directors.attentive import Attentive
from gtalk.direct.directors.sound import events_of_sources
from gtalk.direct.score import Event
from gtalk.hearing.direction import DirectionFinder
from gtalk.hearing.tracker import Source, SourceTracker, require_two_ears
from gtalk.media.audio import no_sound, stream_audio, stream_channels
from gtalk.media.source import probe
from gtalk.types import AUDIO_RATE

_TICK = AUDIO_RATE // 25  # as a live session hears
_BEFORE_S, _AFTER_S = 0.3, 0.1  # of its own speech: it listens no more, and not yet again
_SILENT = 1e-3


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


def events_of_listening(
    path: Path, own: Sequence[tuple[float, float]], duration_s: float, seed: int
) -> tuple[list[Event], tuple[str, ...]]:
    """What the face does about another's voice while it does not speak in the spans `own`, and what there is to say.

    Raises UserError for a file without sound.
    """
    if not probe(path).has_audio:
        raise no_sound(path)
    attentive, out = Attentive(seed), []
    begins = np.array([a - _BEFORE_S for a, _ in own])
    ends = np.array([b + _AFTER_S for _, b in own])
    loudest, held, now_s = 0.0, np.zeros(0, np.float32), 0.0
    for piece in stream_audio(path, AUDIO_RATE):
        held = np.concatenate([held, piece])
        loudest = max(loudest, float(np.abs(piece).max(initial=0.0)))
        while len(held) >= _TICK and now_s < duration_s:
            now_s += _TICK / AUDIO_RATE
            out += attentive.push(held[:_TICK], now_s, deaf=bool(((begins < now_s) & (now_s < ends)).any()))
            held = held[_TICK:]
    told = () if loudest > _SILENT else (f"listens {path}: it is silent, nobody is listened to",)
    return [event for event in out if event.start_s < duration_s], told
