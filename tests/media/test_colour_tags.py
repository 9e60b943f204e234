"""Range and matrix of a file's colours are those of its tags, through real encoders; untagged as players guess."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from gtalk.media.video import read_video

COLOURS = [(200, 60, 50), (60, 160, 80), (50, 80, 190), (225, 172, 150), (30, 30, 30), (240, 240, 240)]
WEIGHTS = {"601": (0.299, 0.114), "709": (0.2126, 0.0722)}
SPACES = {"601": 5, "709": 1, "untagged": 2}


def patches(height: int) -> np.ndarray:
    """Six patches across."""
    return np.repeat(np.repeat(np.array(COLOURS, np.uint8)[None], height, 0), 32, 1)


def planes(rgb: np.ndarray, matrix: str, full: bool) -> np.ndarray:
    """yuv444p as the standards define it (ITU-R BT.601, BT.709), [3,H,W] uint8."""
    red, blue = WEIGHTS[matrix]
    r, g, b = np.moveaxis(rgb.astype(np.float64) / 255, -1, 0)
    y = red * r + (1 - red - blue) * g + blue * b
    u, v = (b - y) / (2 - 2 * blue), (r - y) / (2 - 2 * red)
    spans = (255.0, 255.0, 0.0) if full else (219.0, 224.0, 16.0)
    return np.rint(np.stack([spans[2] + spans[0] * y, 128 + spans[1] * u, 128 + spans[1] * v])).astype(np.uint8)


def write(path: Path, codec: str, rgb: np.ndarray, matrix: str, tag: str, full: bool) -> Path:
    """A clip whose values are of `matrix` and whose header says `tag`."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=Fraction(25))
        stream.height, stream.width = rgb.shape[:2]
        stream.pix_fmt = "yuv444p"
        stream.options = {"crf": "4", "preset": "ultrafast"} if codec == "libx264" else {"cpu-used": "8"}
        stream.bit_rate = 20_000_000
        context = stream.codec_context
        context.colorspace, context.color_range = SPACES[tag], 2 if full else 1
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(planes(rgb, matrix, full), format="yuv444p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            frame.colorspace, frame.color_range = SPACES[tag], 2 if full else 1
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def error(path: Path, rgb: np.ndarray) -> float:
    """Largest difference in the middle of a patch."""
    read = next(iter(read_video(path)))
    middle = (slice(rgb.shape[0] // 2, None, 97), slice(16, None, 32))
    return float(np.abs(read[middle].astype(int) - rgb[middle]).max())


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", ["601", "709"])
@pytest.mark.parametrize(("codec", "name"), [("libx264", "a.mp4"), ("libx264", "a.mkv"), ("libvpx-vp9", "a.webm")])
def test_tagged_files_are_read_by_their_tags(codec: str, name: str, matrix: str, full: bool, tmp_path: Path) -> None:
    for height in (96, 720):  # where guesses by size would differ
        rgb = patches(height)
        assert error(write(tmp_path / f"{height}{name}", codec, rgb, matrix, matrix, full), rgb) <= 5


@pytest.mark.parametrize(("height", "matrix"), [(96, "601"), (720, "709")])
def test_untagged_files_are_read_by_their_size(height: int, matrix: str, tmp_path: Path) -> None:
    rgb, other = patches(height), {"601": "709", "709": "601"}[matrix]
    assert error(write(tmp_path / "a.mp4", "libx264", rgb, matrix, "untagged", False), rgb) <= 5
    assert error(write(tmp_path / "b.mp4", "libx264", rgb, other, "untagged", False), rgb) >= 10
