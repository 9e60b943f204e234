"""Frames of clients are counted however they are cut, and what no client sends is refused."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalk.hosting.frames import BadFrames, FrameGate


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def frame(kind: int, payload: bytes = b"", last: bool = True) -> bytes:
    size = len(payload)
    head = bytes([kind | 0x80 * last])
    if size < 126:
        head += bytes([0x80 | size])
    else:
        head += (
            bytes([0x80 | 126]) + struct.pack(">H", size) if size < 1 << 16 else bytes([255]) + struct.pack(">Q", size)
        )
    return head + b"mask" + payload


MESSAGES = st.lists(st.tuples(st.sampled_from([1, 2]), st.sampled_from([0, 1, 125, 126, 300, 70_000])), max_size=12)


@given(MESSAGES, st.lists(st.integers(1, 5000), min_size=1, max_size=20))
def test_pieces_of_any_size_are_the_same_frames(messages: list[tuple[int, int]], cuts: list[int]) -> None:
    data = b"".join(frame(kind, b"\xff" * size) for kind, size in messages)
    gate, place, i = FrameGate(Clock()), 0, 0
    while place < len(data):
        gate.feed(data[place : place + cuts[i % len(cuts)]])
        place, i = place + cuts[i % len(cuts)], i + 1
    assert gate._frames._left == 1000 - len(messages)
    assert not gate._head and not gate._skip


def test_a_flood_is_slowed_and_a_microphone_is_not() -> None:
    clock = Clock()
    gate = FrameGate(clock)
    assert gate.feed(frame(2, b"12") * 1000) == 0.0
    assert gate.feed(frame(2, b"12") * 250) == pytest.approx(1.0)
    calm = FrameGate(clock)
    for _ in range(2000):
        clock.now_s += 0.005
        assert calm.feed(frame(2, b"12")) == 0.0


@pytest.mark.parametrize(
    ("data", "why"),
    [(frame(9, b"x") * 21, "pings"), (frame(2, b"", last=False) + frame(0, b"", last=False), "without content"),
     (frame(2, b"a", last=False) + frame(0, b"a", last=False) * 64, "too many fragments")],
)  # fmt: skip
def test_what_no_client_sends_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(BadFrames, match=why):
        FrameGate(Clock()).feed(data)
    FrameGate(Clock()).feed(
        frame(9, b"x") * 20 + frame(2, b"a", last=False) + frame(0, b"a", last=False) * 62 + frame(0)
    )
