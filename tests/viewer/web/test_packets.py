"""Sound of ticks as Opus: what a page decodes is what was said, and pages together cost one encoding."""

import struct
from dataclasses import replace

import av
import numpy as np

from gtalk.export.web import rows
from gtalk.media.output.opus import LiveOpus
from gtalk.types import AUDIO_RATE
from gtalk.viewer.live.frames import LiveFrame
from gtalk.viewer.web.packets import Packets
from gtalk.viewer.web.protocol import pack_numbers, pack_outline


def ticks(seconds: float) -> list[LiveFrame]:
    t = np.arange(round(AUDIO_RATE * seconds)) / AUDIO_RATE
    voice = sum(np.sin(2 * np.pi * 140 * k * t + k) / k for k in range(1, 12))
    sound = (0.1 * voice * (0.1 + np.sin(2 * np.pi * 3 * t) ** 2)).astype(np.float32)
    pieces = [sound[i : i + LiveOpus.PIECE] for i in range(0, len(sound), LiveOpus.PIECE)]
    return [LiveFrame(i / 25, None, None, piece, True, 0.1, numbers=b"numbers") for i, piece in enumerate(pieces)]


def test_what_is_decoded_is_what_was_said() -> None:
    frames, packets, decoder = ticks(1.0), Packets(), av.CodecContext.create("libopus", "r")
    decoder.layout = "mono"  # type: ignore[attr-defined]
    told = [packets.of(frame) for frame in frames]
    assert all(told) and sum(map(len, filter(None, told))) < 2500, "a second at 14 kbit/s, where PCM takes 32000 bytes"
    rows = [row for one in told if one for row in decoder.decode(av.Packet(one))]  # type: ignore[attr-defined]
    heard = np.concatenate([row.to_ndarray().ravel() for row in rows]).astype(float)[:: 48_000 // AUDIO_RATE]
    said = np.concatenate([frame.samples for frame in frames])
    late = round(LiveOpus.DELAY_S * AUDIO_RATE)
    n = min(len(heard) - late, len(said))
    assert np.corrcoef(heard[late : late + n], said[:n])[0, 1] > 0.8


def test_pages_get_the_same_packet_each_in_its_own_time() -> None:
    frames, packets = ticks(0.4), Packets()
    first = [packets.of(frame) for frame in frames]
    assert [packets.of(frame) for frame in frames] == first, "a page that is behind"
    late = Packets()
    late.of(frames[5])
    assert late.of(frames[2]) is None, "what was before the first packet is not encoded any more"


def test_silence_and_odd_lengths_are_not_packed() -> None:
    frame, packets = ticks(0.04)[0], Packets()
    assert packets.of(replace(frame, audible=False)) is None
    assert packets.of(replace(frame, samples=np.zeros(LiveOpus.PIECE, np.float32))) is None
    assert packets.of(replace(frame, samples=frame.samples[:533])) is None, "a tick of 30 pictures a second"


def test_a_packet_is_told_from_plain_samples() -> None:
    frame = replace(ticks(0.04)[0], pitch_hz=140.0, heard_ms=12.5)
    packed, plain = pack_numbers(frame, packet=b"opus"), pack_numbers(frame)
    assert packed[:2] == b"P\x05" and plain[:2] == b"P\x01" and packed.endswith(b"numbersopus")
    assert len(plain) - len(packed) == 2 * LiveOpus.PIECE - 4
    time_s, aperture, pitch = struct.unpack_from("<dHH", packed, 2)
    assert (time_s, aperture, pitch) == (0.0, 1000, 1400) and struct.unpack_from("<HH", packed, 22) == (640, 7)
    own = pack_numbers(frame, own=True)
    assert own[:2] == b"P\x03" and struct.unpack_from("<d", own, 26) == (12.5,) and own[34:].startswith(b"numbers")
    loud = pack_numbers(replace(frame, aperture=99.0, pitch_hz=9e9))
    assert struct.unpack_from("<HH", loud, 10) == (0xFFFF, 0xFFFF), "as much as there is room for"


def test_a_page_of_an_older_gtalk_gets_what_it_reads() -> None:
    row, weights = np.zeros(15, np.float32), np.zeros(58, np.float32)
    frame = replace(ticks(0.04)[0], numbers=rows.packed(row, weights))
    packed, plain = pack_numbers(frame, packet=b"opus", rows=1), pack_numbers(frame, rows=1)
    assert packed[:1] == b"O" and packed.endswith(b"opus") and plain[:1] == b"N"
    assert len(plain) - len(packed) == 2 * LiveOpus.PIECE - 4
    assert struct.unpack_from("<H", packed, 36) == (13 * 4 + 2 * 2,) and pack_outline(frame, 1)[:1] == b"N"
