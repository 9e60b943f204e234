"""Sound as programs send it, in bytes: raw 16-bit samples, or WAV with its header; what is neither is told.

Text-to-speech engines write a WAV file into a pipe, its length unknown (0 or the largest there is), sometimes one
file after another. A header that is taken for sound is a click, its rate another pitch; compressed sound is noise.
"""

from __future__ import annotations

import struct

import numpy as np

from gtalk.errors import UserError
from gtalk.shapes import Float

RATES_HZ = (4000, 192_000)
_START = 12  # bytes of RIFF's own header
_PEEK = 4096  # enough to tell MP3's frames from samples
_MOST_HEADER = 1 << 20  # of a chunk before the sound: tags and pictures
_UNKNOWN = (0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFFFFE, 0x7FFFFFDB)
_MAGIC = {
    b"OggS": "Ogg", b"fLaC": "FLAC", b"ID3": "MP3", b"\x1aE\xdf\xa3": "WebM", b"FORM": "AIFF", b".snd": "AU",
    b"caff": "CAF", b"#!AMR": "AMR",
}  # fmt: skip
_MP3_KBITS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)
_MP3_KBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)

Piece = tuple[Float[np.ndarray, " N"], int]
"""(mono samples, their rate)."""


class Compressed(UserError):
    """Sound that only a decoder can read."""

    def __init__(self, form: str) -> None:
        super().__init__(
            "pushed sound",
            expected="16-bit samples, or a WAV file",
            got=form,
            remedy="Let the engine write WAV or raw PCM, or put a decoder before it: "
            "`| ffmpeg -i - -f s16le -ac 1 -ar 16000 -`.",
        )
        self.form = form


class PcmStream:
    """Takes bytes in pieces of any size; gives samples. Raises UserError for what it cannot read.

    Args:
        rate: of raw sound, which is mono, 16-bit and little-endian.
    """

    def __init__(self, rate: int) -> None:
        self._raw_rate = rate
        self._rest = b""
        self._state = "start"
        self._left: int | None = None  # bytes of the data chunk or of one that is skipped; None without end
        self._odd = 0  # bytes that follow the data chunk to make its length even
        self._format: tuple[int, int, int, int] | None = None  # (code, channels, rate, bits)

    def push(self, data: bytes, last: bool = False) -> list[Piece]:
        """Sound that is now certain. `last`: nothing follows."""
        self._rest += data
        pieces: list[Piece] = []
        while (piece := self._step(last)) is not None:
            if len(piece[0]):
                pieces.append(piece)
        return pieces

    def _step(self, last: bool) -> Piece | None:
        """One change of state, with the sound that it brings; None when more bytes are needed."""
        match self._state:
            case "start":
                return self._begin(last)
            case "raw":
                return self._take_raw()
            case "chunk":
                return self._chunk()
            case "skip":
                return self._skip()
            case _:
                return self._data()

    def _begin(self, last: bool) -> Piece | None:
        head = self._rest
        if head[:4] == b"RIFF"[: len(head)] and len(head) < _START and not last:
            return None
        if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
            self._rest, self._state = head[_START:], "chunk"
            return _nothing()
        if not last and len(head) < _START:
            return None
        if form := compressed_form(head):
            raise Compressed(form)
        if head[:1] == b"\xff" and len(head) < _PEEK and not last and _frame_bytes(head):
            return None  # perhaps MP3: its second frame tells
        self._state = "raw"
        return _nothing()

    def _take_raw(self) -> Piece | None:
        whole = len(self._rest) & ~1
        if not whole:
            return None
        data, self._rest = self._rest[:whole], self._rest[whole:]
        return np.frombuffer(data, "<i2").astype(np.float32) / 32768, self._raw_rate

    def _chunk(self) -> Piece | None:
        if len(self._rest) < 8:
            return None
        name, size = self._rest[:4], int.from_bytes(self._rest[4:8], "little")
        if name in (b"RIFF", b"RF64"):  # another file follows
            self._state = "start"
            return _nothing()
        if name == b"fmt ":
            if not 16 <= size <= 1024:
                raise _unreadable(f"a format of {size} bytes")
            if len(self._rest) < 8 + size:
                return None
            self._format = _format_of(self._rest[8 : 8 + size])
            self._rest = self._rest[8 + size + size % 2 :]
            return _nothing()
        self._rest = self._rest[8:]
        if name == b"data":
            if self._format is None:
                raise _unreadable("sound before its format")
            self._left, self._state = None if size in _UNKNOWN else size, "data"
            self._odd = size % 2
            return _nothing()
        if size > _MOST_HEADER:
            raise _unreadable(f"a part {name!r} of {size} bytes")
        self._left, self._state = size + size % 2, "skip"
        return _nothing()

    def _skip(self) -> Piece | None:
        assert self._left is not None
        count = min(self._left, len(self._rest))
        self._rest, self._left = self._rest[count:], self._left - count
        if self._left:
            return None
        self._state = "chunk"
        return _nothing()

    def _data(self) -> Piece | None:
        assert self._format is not None
        code, channels, rate, bits = self._format
        step = channels * bits // 8
        there = len(self._rest) if self._left is None else min(len(self._rest), self._left)
        count = there // step * step
        if self._left is not None and self._left - count < step:
            data = self._rest[:count]
            # What is less than a sample, and the byte that makes a chunk's length even, are passed over.
            over = self._left - count
            self._rest, self._left = self._rest[count:], over + self._odd
            self._state = "skip" if self._left else "chunk"
            return _mono(data, code, channels, bits), rate
        if not count:
            return None
        data, self._rest = self._rest[:count], self._rest[count:]
        if self._left is not None:
            self._left -= count
        return _mono(data, code, channels, bits), rate


def compressed_form(head: bytes) -> str:
    """What the first bytes of a stream say that it is, where only a decoder can read it; nothing for samples."""
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            return name
    if head[4:8] == b"ftyp":
        return "MP4"
    first = _frame_bytes(head)
    if first and len(head) >= first + 4 and _frame_bytes(head[first:]):
        return "MP3"
    return ""


def _frame_bytes(head: bytes) -> int:
    """Length of the MPEG layer III frame that begins here; 0 for none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return 0
    version, index, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or rate == 3:
        return 0
    hertz = (44_100, 48_000, 32_000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    kbits = (_MP3_KBITS if version == 3 else _MP3_KBITS_2)[index]
    return (144 if version == 3 else 72) * 1000 * kbits // hertz + (head[2] >> 1 & 1) if kbits else 0


def _format_of(data: bytes) -> tuple[int, int, int, int]:
    code, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", data)
    if code == 0xFFFE and len(data) >= 26:  # extensible: the real code comes later
        code = struct.unpack_from("<H", data, 24)[0]
    known = (code == 1 and bits in (8, 16, 24, 32)) or (code == 3 and bits in (32, 64))
    if not known:
        raise _unreadable(f"format {code} with {bits} bits")
    if not 1 <= channels <= 64 or not RATES_HZ[0] <= rate <= RATES_HZ[1] or block != channels * bits // 8:
        raise _unreadable(f"{channels} channels at {rate} Hz in blocks of {block} bytes")
    return code, channels, rate, bits


def _mono(data: bytes, code: int, channels: int, bits: int) -> np.ndarray:
    if code == 3:
        values = np.frombuffer(data, f"<f{bits // 8}").astype(np.float32)
    elif bits == 8:
        values = (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
    elif bits == 24:
        low, middle, high = np.frombuffer(data, np.uint8).reshape(-1, 3).T.astype(np.int32)
        values = ((low | middle << 8 | high << 16) << 8 >> 8).astype(np.float32) / 2.0**23
    else:
        values = np.frombuffer(data, f"<i{bits // 8}").astype(np.float32) / 2.0 ** (bits - 1)
    return values.reshape(-1, channels).mean(1)


def _nothing() -> Piece:
    return np.zeros(0, np.float32), 0


def _unreadable(got: str) -> UserError:
    return UserError("pushed sound", expected="a WAV file with PCM or float samples", got=got,
                     remedy="Let the engine write 16-bit PCM.")  # fmt: skip
