"""Sound of ticks as Opus: what a page decodes is what was said, and pages together cost one encoding."""

from dataclasses import replace

import av
import numpy as np

from gtalk.media.output.opus import LiveOpus
from gtalk.types import AUDIO_RATE
from gtalk.viewer.live.frames import LiveFrame
from gtalk.viewer.web.packets import Packets
from gtalk.viewer.web.protocol import pack_numbers


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
    frame = ticks(0.04)[0]
    packed, plain = pack_numbers(frame, packet=b"opus"), pack_numbers(frame)
    assert packed[:1] == b"O" and packed.endswith(b"numbersopus") and plain[:1] == b"N"
    assert len(plain) - len(packed) == 2 * LiveOpus.PIECE - 4
