"""The messages between the page and the server. Little-endian; the first byte says what follows.

    server -> page   b"F" f64 time_s, f64 heard_ms, f32 aperture, f32 pitch_hz, u8 audible, u32 jpeg bytes, jpeg,
                     i16 PCM at 16 kHz                                                    one tick
                     b"N" f64 time_s, f64 heard_ms, f32 aperture, f32 pitch_hz, u8 audible, 8 i8 wave, u16 samples,
                     u16 bytes of numbers, numbers, i16 PCM where it is heard             one tick, to be drawn there
                     b"O" ... the same with a packet of Opus instead of PCM, for pages that asked for it
                     b"P" u8 flags, f64 time_s, u16 aperture (1/10000), u16 pitch_hz (1/10), 8 i8 wave, u16 samples,
                     u16 bytes of numbers, f64 heard_ms where flag 2, numbers, sound      the same, smaller
                     flags: 1 audible, 2 heard_ms goes along, 4 sound is a packet of Opus
                     text: {"stats": ..} {"notice": ..} {"flush": true}
    page -> server   b"M" u32 sample rate, f64 captured_ms, i16 PCM                       microphone
                     b"S" ... the same of two channels, left and right by turns           for ears that know directions
                     text: {"do": "mic" | "mute" | "stop" | "say" | "orbit" | "record" | "skew" | "draw" | "apart", ..}

Pages that draw ask for {"do": "draw", "rows": 2} to get P, with numbers as `gtalk.export.web.rows` packs them; those of
an older gtalk, which do not, get N and O, whose numbers are floats and half floats.

`captured_ms` is when the first sample entered the page, on a clock of the page's own; it comes back as
`heard_ms` with the image that shows that sound, so that the page knows the whole latency.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gtalk.export.web.rows import ROWS, as_first_version
from gtalk.shapes import Float
from gtalk.viewer.audio.sources import RATES_HZ
from gtalk.viewer.live.frames import LiveFrame

MAX_MESSAGE_BYTES = 256 * 1024
MAX_MIC_BYTES = 64 * 1024  # a third of a second at 96 kHz; the page sends 5 ms
_FRAME = struct.Struct("<cddffBI")
_NUMBERS = struct.Struct("<cddffB8bHH")
_SMALL = struct.Struct("<cBdHH8bHH")
_AUDIBLE, _HEARD, _OPUS = 1, 2, 4  # flags
_PARTS = 4  # of a tick, each with its least and greatest sample
_MIC = struct.Struct("<cId")


class BadMessage(ValueError):
    """A message that no page of ours sends."""


@dataclass(frozen=True)
class MicPiece:
    """Sound of the visitor's microphone."""

    rate: int
    captured_ms: float
    samples: Float[np.ndarray, " N"]
    both: Float[np.ndarray, "N 2"] | None = None
    """Left and right, of a stereo microphone; `samples` is their mean then."""


def pack_frame(frame: LiveFrame, *, own: bool = False) -> bytes:
    """One tick for the page; `own` says that its microphone was heard, so the capture time is on its clock."""
    pcm = (np.clip(frame.samples, -1, 1) * 32767).astype("<i2").tobytes()
    jpeg = frame.jpeg or b""
    heard_ms = frame.heard_ms if own else math.nan
    head = _FRAME.pack(b"F", frame.time_s, heard_ms, frame.aperture, frame.pitch_hz, frame.audible, len(jpeg))
    return head + jpeg + pcm


def pack_numbers(frame: LiveFrame, *, own: bool = False, packet: bytes | None = None, rows: int = ROWS) -> bytes:
    """One tick for a page that draws it. Sound goes along where it is heard, else its outline.

    Args:
        own: as above.
        packet: the sound as Opus, where it is to go so.
        rows: version of the numbers that the page asked for.
    """
    samples = np.clip(frame.samples, -1, 1)
    parts = [part if len(part) else np.zeros(1) for part in np.array_split(samples, _PARTS)]
    wave = [round(127 * float(value)) for part in parts for value in (min(part.min(), 0.0), max(part.max(), 0.0))]
    numbers, heard_ms = frame.numbers or b"", frame.heard_ms if own else math.nan
    sound = packet or ((samples * 32767).astype("<i2").tobytes() if frame.audible and samples.any() else b"")
    if rows < ROWS:
        numbers, kind = as_first_version(numbers) if numbers else b"", b"O" if packet else b"N"
        head = _NUMBERS.pack(kind, frame.time_s, heard_ms, frame.aperture, frame.pitch_hz, frame.audible, *wave,
                             len(samples), len(numbers))  # fmt: skip
        return head + numbers + sound
    heard = b"" if math.isnan(heard_ms) else struct.pack("<d", heard_ms)
    flags = _AUDIBLE * frame.audible | _HEARD * bool(heard) | _OPUS * bool(packet)
    traced = (
        min(round(max(value, 0.0) * unit), 0xFFFF) for value, unit in ((frame.aperture, 1e4), (frame.pitch_hz, 10))
    )
    head = _SMALL.pack(b"P", flags, frame.time_s, *traced, *wave, len(samples), len(numbers))
    return head + heard + numbers + sound


def pack_outline(frame: LiveFrame, rows: int = ROWS) -> bytes:
    """One tick for a page that gets picture and sound another way."""
    return pack_numbers(replace(frame, numbers=None, audible=False, heard_ms=math.nan), rows=rows)


def parse(message: bytes | str) -> MicPiece | dict[str, Any]:
    """A message of the page. Raises BadMessage for anything else."""
    if isinstance(message, str):
        return parse_command(message)
    if len(message) < _MIC.size or message[:1] not in (b"M", b"S"):
        raise BadMessage("unknown binary message")
    channels = 1 if message[:1] == b"M" else 2
    if len(message) > MAX_MIC_BYTES * channels or (len(message) - _MIC.size) % (2 * channels):
        raise BadMessage("microphone piece of a wrong size")
    _, rate, captured_ms = _MIC.unpack_from(message)
    if not RATES_HZ[0] <= rate <= RATES_HZ[1]:
        raise BadMessage(f"sample rate {rate}")
    samples = from_pcm(message[_MIC.size :])
    if channels == 1:
        return MicPiece(rate, captured_ms, samples)
    both = samples.reshape(-1, 2)
    return MicPiece(rate, captured_ms, both.mean(1), both)


def parse_command(message: str) -> dict[str, Any]:
    """A JSON command. Raises BadMessage for anything else."""
    try:
        command = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise BadMessage("text that is not JSON") from error
    if not isinstance(command, dict) or not isinstance(command.get("do"), str):
        raise BadMessage("JSON that is not a command")
    return command


def number(command: dict[str, Any], name: str, low: float, high: float) -> float:
    """A finite number of a command, clamped. Raises BadMessage when there is none."""
    value = command.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadMessage(f"{command['do'][:32]!r} without a number {name!r}")
    if isinstance(value, float) and math.isnan(value):
        raise BadMessage(f"{name!r} is not a number")
    return float(min(max(value, low), high))


def from_pcm(data: bytes) -> Float[np.ndarray, " N"]:
    """Little-endian i16 as samples."""
    return np.frombuffer(data, "<i2").astype(np.float32) / 32768
