"""Sound for browsers."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import av

from gtalk.media.audio import read_audio
from gtalk.media.sinks import add_sound, audio_frame

SOUND_TYPE = 'audio/webm; codecs="opus"'
BIT_RATE = 32_000
_RATE = 48_000


def opus(path: Path) -> bytes:
    """A sound file as mono Opus in WebM, which all browsers of today play. Raises UserError when it has no sound."""
    samples = read_audio(path, _RATE).samples
    with TemporaryDirectory() as folder:
        made = Path(folder) / "sound.webm"
        with av.open(str(made), "w") as file:
            stream = add_sound(file, "libopus", _RATE, 1, BIT_RATE)
            for start in range(0, len(samples), _RATE):
                piece = samples[start : start + _RATE, None]
                file.mux(stream.encode(audio_frame(piece, stream, "mono", _RATE, start)))
            file.mux(stream.encode(None))
        return made.read_bytes()
