"""Sound in bytes: raw, WAV of every kind, in pieces of any size; what only a decoder reads is told."""

import io
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtalk.errors import UserError
from gtalk.viewer.audio.pcm_stream import Compressed, PcmStream
from tests.support.strange_media import write_sound

TONE = (0.4 * np.sin(np.arange(3000) * 0.05)).astype(np.float32)


def wav_bytes(samples: np.ndarray, rate: int, bits: int = 16, channels: int = 1, size: int | None = None) -> bytes:
    values = np.repeat(samples[:, None], channels, 1)
    whole = np.rint(values * (2 ** (bits - 1) - 1)).astype("<i4")
    data = {8: (whole + 128).astype(np.uint8).tobytes(), 16: whole.astype("<i2").tobytes(), 32: whole.tobytes(),
            24: whole[..., None].view(np.uint8)[..., :3].tobytes()}[bits]  # fmt: skip
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((channels, bits // 8, rate, 0, "NONE", ""))
        file.writeframes(data)
    packed = buffer.getvalue()
    if size is not None:
        packed = packed[:4] + size.to_bytes(4, "little") + packed[8:40] + size.to_bytes(4, "little") + packed[44:]
    return packed


def heard(data: bytes, rate: int = 16_000, piece: int = 1 << 20) -> list[tuple[np.ndarray, int]]:
    stream = PcmStream(rate)
    found = [one for i in range(0, len(data), piece) for one in stream.push(data[i : i + piece])]
    return found + stream.push(b"", last=True)


def whole(found: list[tuple[np.ndarray, int]]) -> np.ndarray:
    return np.concatenate([samples for samples, _ in found])


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("size", [None, 0, 0xFFFFFFFF])
def test_the_header_says_rate_channels_and_depth(bits: int, channels: int, size: int | None) -> None:
    found = heard(wav_bytes(TONE, 22_050, bits, channels, size))
    assert {rate for _, rate in found} == {22_050}
    assert len(whole(found)) == len(TONE)
    assert np.abs(whole(found) - TONE).max() < 2.0 ** (2 - bits) + 1e-4


@settings(max_examples=40, deadline=None)
@given(piece=st.integers(1, 700), size=st.sampled_from([None, 0xFFFFFFFF]))
def test_pieces_of_any_size_give_the_same(piece: int, size: int | None) -> None:
    data = wav_bytes(TONE, 22_050, 16, 2, size)
    assert np.array_equal(whole(heard(data, piece=piece)), whole(heard(data)))
    raw = (TONE * 32767).astype("<i2").tobytes()
    assert np.array_equal(whole(heard(raw, piece=piece)), whole(heard(raw)))


def test_one_file_after_another_in_one_pipe() -> None:
    odd = wav_bytes(TONE[:1001], 22_050, 8)
    data = odd + b"\0" * (len(odd) % 2) + wav_bytes(TONE, 24_000)
    for piece in (7, 100_000):
        found = heard(data, piece=piece)
        assert sum(len(samples) for samples, rate in found if rate == 22_050) == 1001
        assert sum(len(samples) for samples, rate in found if rate == 24_000) == len(TONE)


def test_raw_sound_is_taken_as_it_was() -> None:
    raw = (TONE * 32767).astype("<i2").tobytes()
    found = heard(raw, 8000)
    assert {rate for _, rate in found} == {8000} and np.abs(whole(found) - TONE).max() < 1e-4
    quiet = np.full(4000, -1025, "<i2").tobytes()  # its bytes begin as an MP3 frame does
    assert len(whole(heard(quiet, piece=64))) == 4000


@pytest.mark.parametrize(
    ("codec", "form", "name"),
    [("libmp3lame", "mp3", "MP3"), ("libopus", "ogg", "Ogg"), ("flac", "flac", "FLAC"), ("libopus", "webm", "WebM")],
)
def test_what_only_a_decoder_reads_is_told(codec: str, form: str, name: str, tmp_path: Path) -> None:
    data = write_sound(tmp_path / "a", np.tile(TONE, 16), 48_000, codec, form).read_bytes()
    for piece in (100, 1 << 20):
        with pytest.raises(Compressed, match=name):
            heard(data, piece=piece)


@pytest.mark.parametrize(("place", "value"), [(20, 85), (22, 0), (24, 0), (34, 12)])
def test_formats_that_are_no_samples_are_refused_in_words(place: int, value: int) -> None:
    data = bytearray(wav_bytes(TONE, 22_050))
    data[place : place + 2] = value.to_bytes(2, "little")
    if place == 24:
        data[26:28] = b"\0\0"
    with pytest.raises(UserError, match="WAV file with PCM"):
        heard(bytes(data))
