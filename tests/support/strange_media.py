"""Media as strangers send them: high dynamic range, mirrored, with pixels that are not square, in several parts.

Each maker writes a small file whose right reading is known. `tools/check/robustness/strangers.py` runs gtalk on them
and prints what it makes of each; the tests check the same in pieces.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from gtalk.media.output.writer import WriteConfig, write_video

TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
"""Linear light of BT.709 to that of BT.2020 (BT.2087)."""
TAGS = {"hlg": 18, "pq": 16}
MATRICES = {"upright": (1, 0, 0, 1), "hflip": (-1, 0, 0, 1), "vflip": (1, 0, 0, -1), "half turn": (-1, 0, 0, -1),
            "quarter turn": (0, 1, -1, 0), "transpose": (0, 1, 1, 0), "transverse": (0, -1, -1, 0)}  # fmt: skip
"""(a, b, c, d) of display matrices, by what they do to the stored image."""


def hdr_signal(rgb: np.ndarray, transfer: str) -> np.ndarray:
    """uint8 BT.709 [...,3] as a signal of 0 to 1 in HLG or PQ, white at 203 cd/m² (ITU-R BT.2408, display-referred)."""
    nits = 203.0 * ((rgb.astype(np.float64) / 255) ** 2.4) @ TO_2020.T
    nits = np.maximum(nits, 0.0)
    if transfer == "pq":
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        power = (nits / 10_000) ** m1
        return ((c1 + c2 * power) / (1 + c3 * power)) ** m2
    display = nits / 1000.0
    luminance = np.maximum(display @ [0.2627, 0.6780, 0.0593], 1e-9)[..., None]
    scene = display * luminance ** ((1 - 1.2) / 1.2)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)


def write_hdr(path: Path, images: Iterable[np.ndarray], transfer: str, fps: int = 25) -> Path:
    """10-bit HEVC as phones write it."""
    with av.open(str(path), "w") as file:
        stream = None
        for number, rgb in enumerate(images):
            if stream is None:
                stream = file.add_stream("libx265", rate=fps)
                stream.height, stream.width = rgb.shape[:2]
                stream.pix_fmt = "yuv420p10le"
                stream.options = {"crf": "12", "preset": "ultrafast", "x265-params": "log-level=error"}
                context = stream.codec_context
                context.color_primaries, context.color_trc, context.colorspace = 9, TAGS[transfer], 9
                context.color_range = 1
                context.codec_tag = "hvc1"
            deep = np.rint(65535 * hdr_signal(rgb, transfer)).astype(np.uint16)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(deep), format="rgb48le")
            frame = frame.reformat(format="yuv420p10le", dst_colorspace=9, dst_color_range=1)
            frame.pts, frame.time_base = number, Fraction(1, fps)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def set_display_matrix(path: Path, matrix: Sequence[int]) -> Path:
    """Write (a, b, c, d) into the header of the first track of an mp4 or mov that is video."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd")
    while int.from_bytes(data[place + 4 + 76 : place + 4 + 80], "big") == 0:  # no width: sound
        place = data.index(b"tkhd", place + 4)
    start = place + 4 + 40  # of version 0
    a, b, c, d = (int(value) << 16 for value in matrix)
    rows = [a, b, 0, c, d, 0, 0, 0, 1 << 30]
    data[start : start + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in rows)
    path.write_bytes(data)
    return path


def write_container_aspect(path: Path, images: Sequence[np.ndarray], aspect: Fraction, fps: int = 25) -> Path:
    """VP9, whose own stream has no word for the shape of pixels: only the container says it."""
    height, width = images[0].shape[:2]
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libvpx-vp9", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"cpu-used": "8", "deadline": "realtime"}
        stream.bit_rate = 2_000_000
        stream.codec_context.sample_aspect_ratio, stream.codec_context.color_range = aspect, 1
        for number, rgb in enumerate(images):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    if path.suffix != ".mp4":
        _set_display_width(path, round(width * aspect))
    return path


def _set_display_width(path: Path, width: int) -> None:
    """Matroska's DisplayWidth, below 256, in the place of an element as long that may go."""
    display = b"\x54\xb0\x81" + bytes([width])
    unknown_unit, colour = b"\x54\xb2\x81\x04", b"\x55\xb0\x84\x55\xb9\x81\x01"
    data = path.read_bytes()
    other, instead = (unknown_unit, display) if unknown_unit in data else (colour, display + b"\xec\x81\x00")
    assert data.count(other) == 1
    path.write_bytes(data.replace(other, instead))


def write_sound(path: Path, samples: np.ndarray, rate: int, codec: str, form: str | None = None) -> Path:
    """Mono or stereo ([N] or [N,C], float) by any encoder, in the container that `form` or the name says."""
    values = samples[:, None] if samples.ndim == 1 else samples
    layout = {1: "mono", 2: "stereo"}[values.shape[1]]
    with av.open(str(path), "w", format=form) as file:
        stream = file.add_stream(codec, rate=rate, layout=layout)
        resampler = av.AudioResampler(stream.codec_context.format, layout, rate)
        for start in range(0, len(values), 4096):
            piece = np.ascontiguousarray(values[start : start + 4096].T, np.float32)
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            for one in resampler.resample(frame):
                file.mux(stream.encode(one))
        file.mux(stream.encode(None))
    return path


def write_chained_ogg(path: Path, parts: Sequence[np.ndarray], rate: int = 48_000, codec: str = "libopus") -> Path:
    """Recordings put one after the other into one file, as `cat` does and recorders that are paused."""
    whole = b""
    for part in parts:
        whole += write_sound(path, part, rate, codec, "ogg").read_bytes()
    path.write_bytes(whole)
    return path


def write_far_apart(path: Path, n_pieces: int, gap_s: float, rate: int = 8000) -> Path:
    """A small sound file whose few pieces lie `gap_s` apart."""
    with av.open(str(path), "w", format="matroska") as file:
        stream = file.add_stream("pcm_s16le", rate=rate, layout="mono")
        for number in range(n_pieces):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = round(number * gap_s * rate)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def write_images_far_apart(path: Path, n_images: int, gap_s: float) -> Path:
    """A small video whose images are shown for `gap_s` each."""
    with av.open(str(path), "w", format="matroska") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(n_images):
            grey = np.full((64, 64, 3), 60 + 10 * (number % 10), np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = round(1000 * number * gap_s), Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def write_plain(path: Path, images: Iterable[np.ndarray], fps: float = 25.0) -> Path:
    """An ordinary H.264 file of high quality."""
    write_video(path, images, fps, config=WriteConfig(crf=8))
    return path
