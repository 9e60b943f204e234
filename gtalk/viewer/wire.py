"""The messages between the page and the server. Little-endian; the first byte says what follows.

server -> page   b"F" f64 time_s, u8 audible, u32 jpeg bytes, jpeg, i16 PCM at 16 kHz     one tick
                 text: a JSON object                                                      statistics, notices
page -> server   b"M" u32 sample rate, i16 PCM                                            microphone
                 text: {"do": "mic" | "stop" | "skew", ...}                               commands
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from gtalk.shapes import Float
from gtalk.viewer.session import LiveFrame

MAX_MESSAGE_BYTES = 256 * 1024
MAX_MIC_BYTES = 64 * 1024  # a third of a second at 96 kHz; browsers send 20 to 60 ms
_FRAME = struct.Struct("<cdBI")
_MIC = struct.Struct("<cI")


class BadMessage(ValueError):
    """A message that no page of ours sends."""


@dataclass(frozen=True)
class MicPiece:
    """Sound of the visitor's microphone."""

    rate: int
    samples: Float[np.ndarray, " N"]


def pack_frame(frame: LiveFrame) -> bytes:
    """One tick for the page."""
    pcm = (np.clip(frame.samples, -1, 1) * 32767).astype("<i2").tobytes()
    jpeg = frame.jpeg or b""
    return _FRAME.pack(b"F", frame.time_s, frame.audible, len(jpeg)) + jpeg + pcm


def parse(message: bytes | str) -> MicPiece | dict[str, Any]:
    """A message of the page. Raises BadMessage for anything else."""
    if isinstance(message, str):
        try:
            command = json.loads(message)
        except ValueError as error:
            raise BadMessage("text that is not JSON") from error
        if not isinstance(command, dict) or not isinstance(command.get("do"), str):
            raise BadMessage("JSON that is not a command")
        return command
    if len(message) < _MIC.size or message[:1] != b"M":
        raise BadMessage("unknown binary message")
    if len(message) > MAX_MIC_BYTES or (len(message) - _MIC.size) % 2:
        raise BadMessage("microphone piece of a wrong size")
    _, rate = _MIC.unpack_from(message)
    if not 4000 <= rate <= 192_000:
        raise BadMessage(f"sample rate {rate}")
    return MicPiece(rate, np.frombuffer(message, "<i2", offset=_MIC.size).astype(np.float32) / 32768)
