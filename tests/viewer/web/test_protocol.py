import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtalk.viewer.live.frames import LiveFrame
from gtalk.viewer.web.protocol import MAX_MIC_BYTES, BadMessage, MicPiece, number, pack_frame, parse


def test_a_frame_is_laid_out_as_the_page_reads_it() -> None:
    samples = np.array([0.0, 0.5, -1.0], np.float32)
    frame = LiveFrame(1.25, b"jpeg!", None, samples, True, 0.5, 220.0, 4321.0)
    data = pack_frame(frame, own=True)
    assert data[:1] == b"F"
    assert struct.unpack_from("<dd", data, 1) == (1.25, 4321.0)
    assert struct.unpack_from("<ff", data, 17) == (0.5, 220.0)
    assert data[25] == 1
    size = struct.unpack_from("<I", data, 26)[0]
    assert data[30 : 30 + size] == b"jpeg!"
    np.testing.assert_allclose(np.frombuffer(data[30 + size :], "<i2") / 32767, samples, atol=1e-4)
    assert np.isnan(struct.unpack_from("<d", pack_frame(frame), 9)[0]), "another page's clock is of no use"


def test_microphone_pieces_are_samples() -> None:
    piece = parse(b"M" + struct.pack("<Id", 48000, 12.5) + np.array([0, 16384, -32768], "<i2").tobytes())
    assert isinstance(piece, MicPiece)
    assert (piece.rate, piece.captured_ms) == (48000, 12.5)
    np.testing.assert_allclose(piece.samples, [0, 0.5, -1.0])


@pytest.mark.parametrize(
    "message",
    [b"", b"X123456", b"M", b"M" + struct.pack("<Id", 1, 0.0) + b"ab", b"M" + struct.pack("<Id", 48000, 12.5) + b"abc",
     b"M" + struct.pack("<Id", 48000, 12.5) + b"a" * MAX_MIC_BYTES, "not json", "[1]", '{"do": 3}'],
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


@pytest.mark.parametrize("value", [None, "3", True, [1], float("nan"), {"a": 1}])
def test_numbers_of_commands_are_checked(value) -> None:
    with pytest.raises(BadMessage, match="yaw"):
        number({"do": "orbit", "yaw": value}, "yaw", -1.0, 1.0)


def test_numbers_of_commands_are_clamped() -> None:
    assert number({"do": "orbit", "yaw": 10**400}, "yaw", -1.0, 1.0) == 1.0
    assert number({"do": "orbit", "yaw": float("-inf")}, "yaw", -1.0, 1.0) == -1.0
