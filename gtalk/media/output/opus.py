"""Sound for browsers."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import numpy as np

from gtalk.media.audio import read_audio
from gtalk.media.output.sinks import add_sound, audio_frame
from gtalk.shapes import Float
from gtalk.types import AUDIO_RATE

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


class LiveOpus:
    """A voice as it is spoken: pieces of PIECE samples to packets that a browser's AudioDecoder takes one by one.

    What it decodes comes DELAY_S later than what went in (RFC 6716: the encoder looks ahead).
    """

    PIECE = 640
    """Samples at 16 kHz: 40 ms, which Opus packs whole."""
    DELAY_S = 0.0065

    def __init__(self, bit_rate: int = 14_000) -> None:
        self._codec: Any = av.CodecContext.create("libopus", "w")
        self._codec.sample_rate, self._codec.layout, self._codec.format = AUDIO_RATE, "mono", "flt"
        self._codec.bit_rate = bit_rate
        self._codec.options = {"frame_duration": "40", "application": "voip", "vbr": "on", "compression_level": "6"}
        self._position = 0

    def __call__(self, samples: Float[np.ndarray, " N"]) -> bytes:
        """The packet of the next PIECE samples."""
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples, np.float32).reshape(1, -1), format="flt", layout="mono"
        )
        frame.sample_rate, frame.pts, frame.time_base = AUDIO_RATE, self._position, Fraction(1, AUDIO_RATE)
        self._position += len(samples)
        return b"".join(bytes(packet) for packet in self._codec.encode(frame))
