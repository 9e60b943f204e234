"""What each of the cast says, and whose turn it is: from files of their own, channels, or turns of one sound."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gtalk.errors import UserError
from gtalk.hearing.turns import Turn, read_rttm, spans_of, speech_spans, without_overlap
from gtalk.media.audio import stream_audio, stream_channel
from gtalk.scene.script import FOUND, Member, Scene
from gtalk.shapes import Float
from gtalk.speech.base import RATE_HZ
from gtalk.speech.frontend import FrontEnd
from gtalk.speech.normalise import SpeechActivity
from gtalk.types import AUDIO_RATE

_BLEED_DB = 8.0  # who is so much softer than another track is only heard there
_LEVEL_ROWS = 25  # over which levels are compared
_TURN_S, _PHRASE_S = 1.0, 0.25  # pauses that end a turn, and a phrase
_BEFORE_S, _AFTER_S, _RAMP_S = 0.08, 0.12, 0.01  # of a turn's sound
_SILENT_DB = -55.0
_PIECE = AUDIO_RATE

Pieces = Callable[[], Iterator[Float[np.ndarray, " N"]]]


@dataclass(frozen=True)
class Voices:
    """Who says what and when. Times are seconds."""

    pieces: dict[str, Pieces]
    """By member: mono sound at AUDIO_RATE as long as the scene, silent where it is another's turn."""
    turns: list[Turn]
    """Of members by their names, and of speakers without a face by theirs, in the order of time."""
    phrases: dict[str, list[tuple[float, float]]]
    """By speaker."""
    duration_s: float
    notes: tuple[str, ...] = field(default=())


def voices_of(scene: Scene) -> Voices:
    """Reads each sound once, in constant memory. Raises UserError for sounds and turns that do not fit."""
    one_sound = scene.sound is not None and not any(m.voice or m.channel for m in scene.cast)
    return _of_turns(scene, scene.sound) if one_sound and scene.sound is not None else _of_tracks(scene)


def _of_tracks(scene: Scene) -> Voices:
    tracks: dict[str, Pieces] = {m.name: p for m in scene.cast if (p := _track(scene, m)) is not None}
    notes = [f"{m.name} has no voice: listens throughout" for m in scene.cast if m.name not in tracks]
    heard = {name: _heard(pieces()) for name, pieces in tracks.items()}
    rows = max((len(activity) for activity, _ in heard.values()), default=0)
    if not rows:
        raise UserError("scene", expected="sound", got="empty files", remedy="Check the recordings.")
    activity, level_db = (np.zeros((len(heard), rows)), np.full((len(heard), rows), -120.0))
    for i, (active, level) in enumerate(heard.values()):
        activity[i, : len(active)], level_db[i, : len(level)] = active, level
    loudest_db = level_db.max(0)
    phrases: dict[str, list[tuple[float, float]]] = {}
    turns: list[Turn] = []
    duration_s = rows / RATE_HZ
    for i, name in enumerate(heard):
        if level_db[i].max() < _SILENT_DB:
            notes.append(f"the sound of {name} is silent: listens throughout")
        speaks = (activity[i] > 0.5) & (level_db[i] > loudest_db - _BLEED_DB)
        phrases[name] = spans_of(speaks, _PHRASE_S)
        turns += [Turn(name, a, b) for a, b in spans_of(speaks, _TURN_S)]
    turns.sort(key=lambda turn: (turn.start_s, turn.end_s))
    both_s = without_overlap(turns)[1]
    if both_s > 0.2 * duration_s:
        notes.append(f"several speak at once for {both_s:.0f} of {duration_s:.0f} s: all of them move their lips")
    said = {name: _said(pieces, phrases[name], duration_s) for name, pieces in tracks.items()}
    for member in scene.cast:
        said.setdefault(member.name, _said(lambda: iter(()), [], duration_s))
    return Voices(said, turns, phrases, duration_s, tuple(notes))


def _of_turns(scene: Scene, sound: Path) -> Voices:
    def whole() -> Iterator[Float[np.ndarray, " N"]]:
        return stream_audio(sound, AUDIO_RATE)

    duration_s = sum(len(piece) for piece in whole()) / AUDIO_RATE
    spans = speech_spans(whole(), _PHRASE_S)
    faces = {member.speaker or member.name: member.name for member in scene.cast}
    if scene.turns is None:
        if len(scene.cast) > 1:
            raise UserError("scene: sound", expected="turns, channels or voices, since several are to speak",
                            got="one sound for all", remedy="Add `turns: talk.rttm`, or `turns: found`.")  # fmt: skip
        found = [Turn(next(iter(faces)), a, b) for a, b in spans]
    elif scene.turns == FOUND:
        from gtalk.hearing.diarise import found_turns

        found = found_turns(np.concatenate(list(whole())), max(2, len(scene.cast)))
        faces = _as_they_begin(found, scene.cast)
    else:
        found = read_rttm(Path(scene.turns))
    notes: list[str] = []
    kept, both_s = without_overlap([turn for turn in found if turn.start_s < duration_s])
    if both_s > 0:
        notes.append(f"turns overlap for {both_s:.1f} s: there who began later moves the lips")
    faceless = sorted({turn.speaker for turn in kept} - set(faces))
    if faceless:
        notes.append(f"no face for {', '.join(faceless)}: heard, while everybody listens")
    members = {member.name for member in scene.cast}
    called = {who: f"{who} without a face" if who in members else who for who in faceless} | faces
    named = [Turn(called[t.speaker], t.start_s, min(t.end_s, duration_s)) for t in kept]
    voiceless = [m.name for m in scene.cast if not any(t.speaker == m.name for t in named)]
    notes += [f"{name} has no turn: listens throughout" for name in voiceless]
    phrases = {
        who: [(max(a, t.start_s), min(b, t.end_s)) for t in named if t.speaker == who for a, b in spans
              if min(b, t.end_s) > max(a, t.start_s)]
        for who in {turn.speaker for turn in named}
    }  # fmt: skip
    own = {m.name: [(t.start_s, t.end_s) for t in named if t.speaker == m.name] for m in scene.cast}
    said = {name: _said(whole, own[name], duration_s, exactly=True) for name in own}
    return Voices(said, named, phrases, duration_s, tuple(notes))


def _as_they_begin(turns: Sequence[Turn], cast: Sequence[Member]) -> dict[str, str]:
    """Found speakers have no names: they are the cast in the order in which they begin."""
    speakers = list(dict.fromkeys(turn.speaker for turn in turns))
    return dict(zip(speakers, (member.name for member in cast), strict=False))


def _track(scene: Scene, member: Member) -> Pieces | None:
    voice, channel, sound = member.voice, member.channel, scene.sound
    if voice is not None:
        return lambda: stream_audio(voice, AUDIO_RATE)
    if channel is not None and sound is not None:
        return lambda: stream_channel(sound, channel - 1, AUDIO_RATE)
    return None


def _heard(pieces: Iterable[Float[np.ndarray, " N"]]) -> tuple[np.ndarray, np.ndarray]:
    """(speech activity, level over a quarter of a second in dB) at RATE_HZ."""
    front, activity = FrontEnd(), SpeechActivity()
    frames = [front.push(piece) for piece in pieces]
    frames.append(front.finish())
    active = np.concatenate([activity(frame)[0] for frame in frames])
    power = 10.0 ** (np.concatenate([frame.level_db for frame in frames]) / 10.0)
    smooth = np.convolve(power, np.ones(_LEVEL_ROWS) / _LEVEL_ROWS, "same")[: len(power)]
    return active, 10.0 * np.log10(smooth + 1e-12)


def _said(pieces: Pieces, spans: Sequence[tuple[float, float]], duration_s: float, exactly: bool = False) -> Pieces:
    """A sound of which only the spans are left, as long as the scene."""
    before_s, after_s = (0.0, 0.0) if exactly else (_BEFORE_S, _AFTER_S)
    edges = np.array([(a - before_s, b + after_s) for a, b in spans]).reshape(-1, 2)
    total = round(duration_s * AUDIO_RATE)

    def stream() -> Iterator[Float[np.ndarray, " N"]]:
        done = 0
        for whole in pieces():
            piece = whole[: total - done]
            if len(piece):
                yield (piece * _gate(edges, done, len(piece))).astype(np.float32)
                done += len(piece)
        while done < total:
            count = min(_PIECE, total - done)
            yield np.zeros(count, np.float32)
            done += count

    return stream


def _gate(edges: Float[np.ndarray, "S 2"], first: int, count: int) -> Float[np.ndarray, " N"]:
    """1 within the spans, 0 outside, with short ramps inside them."""
    times_s = (first + np.arange(count)) / AUDIO_RATE
    out = np.zeros(count)
    for start_s, end_s in edges[(edges[:, 1] > times_s[0]) & (edges[:, 0] < times_s[-1])] if count else ():
        out = np.maximum(out, np.clip(np.minimum(times_s - start_s, end_s - times_s) / _RAMP_S, 0.0, 1.0))
    return out
