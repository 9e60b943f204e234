"""A song dubbed: its notes, the mouth that holds them, brows and head that follow the melody."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from gtalk.direct.score import Event
from gtalk.dub.config import DubConfig
from gtalk.errors import UserError
from gtalk.hearing.notes import Note, Song, heard_song
from gtalk.media.audio import no_sound, stream_audio, stream_channel
from gtalk.media.source import probe
from gtalk.motion.base import EditFactory
from gtalk.motion.edits.singing import plan_singing
from gtalk.shapes import Float
from gtalk.speech.base import RATE_HZ
from gtalk.speech.known_phones import KnownPhones
from gtalk.types import AUDIO_RATE, Motion

BY = "song"
_BROWS_A_SEMITONE, _MOST_BROWS = 0.04, 0.3
_RAISE_A_SEMITONE_DEG, _MOST_RAISE_DEG, _BREATH_DEG = 0.35, 2.5, 1.0
_PHRASE_S, _BREATH_S = 0.5, 0.3


def events_of_song(notes: Sequence[Note]) -> list[Event]:
    """Brows and chin rise with the melody above its middle, and the chin before a phrase."""
    out: list[Event] = []
    middle = float(np.median([note.pitch for note in notes])) if notes else 0.0
    before_s = 0.0
    for note in notes:
        above, ease = note.pitch - middle, {"ease_in_s": 0.15, "ease_out_s": 0.3, "by": BY}
        if above > 0.5:
            brows = min(_MOST_BROWS, _BROWS_A_SEMITONE * above)
            chin = min(_MOST_RAISE_DEG, _RAISE_A_SEMITONE_DEG * above)
            out.append(Event("shape.browInnerUp", brows, note.start_s, note.end_s, **ease))
            out.append(Event("head.raise", chin, note.start_s, note.end_s, **ease))
        if note.start_s - before_s > _PHRASE_S:
            out.append(Event("head.raise", _BREATH_DEG, note.start_s - _BREATH_S, note.start_s, **ease))
        before_s = note.end_s
    return out


def singing(song: Song, motion_of: Callable[[Sequence[EditFactory]], Iterator[Motion]]) -> EditFactory:
    """The edit that makes a mouth sing; asks for the motion as speech would have it."""
    parts = list(motion_of(()))
    spans = np.array([(note.start_s, note.end_s) for note in song.notes], np.float64).reshape(-1, 2)
    pitches = np.array([note.pitch for note in song.notes], np.float64)
    plan = plan_singing(Motion.concatenate(parts), spans, pitches, song.vibrato, RATE_HZ)
    return lambda: plan


def check_song(source: Path | None, config: DubConfig) -> None:
    """Raises UserError for a stem and lyrics that cannot be used."""
    asked = config.vocals is not None or config.accompanied or config.lyrics is not None
    if asked and (source is None or source.suffix.lower() == ".npz"):
        raise UserError("vocals, accompanied and lyrics", expected="a song that is dubbed",
                        got="a text" if source is None else "a motion file",
                        remedy="Give the song as the sound, or leave them out.")  # fmt: skip
    if config.vocals is not None and config.accompanied:
        raise UserError("accompanied", expected="it only where there is no stem", got="vocals as well",
                        remedy="Leave it out: the stem is the voice.")  # fmt: skip
    if config.vocals is not None and not probe(config.vocals).has_audio:
        raise no_sound(config.vocals)
    if config.lyrics is not None:
        from gtalk.dub.lyrics import read_lyrics

        read_lyrics(config.lyrics)


def voice_of(source: Path, config: DubConfig) -> Iterator[Float[np.ndarray, " N"]]:
    """The sound that lips follow, mono at AUDIO_RATE, as long as the source: it, its stem, or what is told from it."""
    if config.vocals is not None:
        return _as_long(stream_audio(config.vocals, AUDIO_RATE), stream_audio(source, AUDIO_RATE))
    if not config.accompanied:
        return stream_audio(source, AUDIO_RATE)
    from gtalk.hearing.vocals import voice_of_song

    sides = [stream_channel(source, side, AUDIO_RATE) for side in range(min(2, probe(source).audio_channels))]
    return voice_of_song((np.stack(pieces, 1) for pieces in zip(*sides, strict=True)), AUDIO_RATE)


def known_lyrics(source: Path, config: DubConfig) -> KnownPhones | None:
    """Phones of the lyrics, where there are any. Raises UserError for a language that nobody speaks."""
    if config.lyrics is None:
        return None
    from gtalk.dub.lyrics import phones_of, read_lyrics
    from gtalk.voice.synthesis import speak_with_phones

    @lru_cache(maxsize=5000)
    def pronounce(word: str) -> KnownPhones:
        said = speak_with_phones(word, config.lyrics_in)[1]
        kept = [i for i, viseme in enumerate(said.visemes) if viseme != "rest"]
        starts_s, ends_s = (tuple(part[i] for i in kept) for part in (said.starts_s, said.ends_s))
        return KnownPhones(tuple(said.visemes[i] for i in kept), starts_s, ends_s)

    return phones_of(read_lyrics(config.lyrics), heard_song(voice_of(source, config)).notes, pronounce)


def _as_long(
    pieces: Iterator[Float[np.ndarray, " N"]], other: Iterator[Float[np.ndarray, " N"]]
) -> Iterator[Float[np.ndarray, " N"]]:
    """A sound cut or followed by silence, so that it is as long as another."""
    held = np.zeros(0, np.float32)
    for wanted in other:
        while len(held) < len(wanted) and (piece := next(pieces, None)) is not None:
            held = np.concatenate([held, piece])
        yield np.pad(held[: len(wanted)], (0, max(0, len(wanted) - len(held)))).astype(np.float32)
        held = held[len(wanted) :]
