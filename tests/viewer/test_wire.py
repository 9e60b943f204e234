import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtalk.viewer.session import LiveFrame
from gtalk.viewer.wire import MAX_MIC_BYTES, BadMessage, MicPiece, pack_frame, parse


def test_a_frame_is_laid_out_as_the_page_reads_it() -> None:
    samples = np.array([0.0, 0.5, -1.0], np.float32)
    data = pack_frame(LiveFrame(1.25, b"jpeg!", samples, True, 0.0))
    assert data[:1] == b"F"
    assert struct.unpack_from("<d", data, 1)[0] == 1.25
    assert data[9] == 1
    size = struct.unpack_from("<I", data, 10)[0]
    assert data[14 : 14 + size] == b"jpeg!"
    np.testing.assert_allclose(np.frombuffer(data[14 + size :], "<i2") / 32767, samples, atol=1e-4)


def test_microphone_pieces_are_samples() -> None:
    piece = parse(b"M" + struct.pack("<I", 48000) + np.array([0, 16384, -32768], "<i2").tobytes())
    assert isinstance(piece, MicPiece)
    assert piece.rate == 48000
    np.testing.assert_allclose(piece.samples, [0, 0.5, -1.0])


@pytest.mark.parametrize(
    "message",
    [b"", b"X123456", b"M", b"M" + struct.pack("<I", 1) + b"ab", b"M" + struct.pack("<I", 48000) + b"abc",
     b"M" + struct.pack("<I", 48000) + b"a" * MAX_MIC_BYTES, "not json", "[1]", '{"do": 3}'],
)  # fmt: skip
def test_garbage_is_named(message) -> None:
    with pytest.raises(BadMessage):
        parse(message)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=64) | st.text(max_size=64))
def test_no_message_breaks_the_parser(message) -> None:
    try:
        parsed = parse(message)
    except BadMessage:
        return
    assert isinstance(parsed, MicPiece) or json.loads(message) == parsed
