"""Interlaced files, written by real encoders, come out as whole instants."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from gtalk.media.source import probe
from gtalk.media.video import read_video

SIZE = (128, 96)
CODECS = {"libx264": {"x264-params": "tff=1", "crf": "10", "bf": "0"}, "mpeg2video": {"flags": "+ildct+ilme"}}


def bar(instant: float) -> np.ndarray:
    """A bright bar that moves 8 pixels an image."""
    picture = np.full((SIZE[1], SIZE[0], 3), 40, np.uint8)
    left = 10 + round(8 * instant)
    picture[:, left : left + 20] = 220
    return picture


def write(path: Path, codec: str, interlaced: bool) -> Path:
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.bit_rate, stream.options = 4_000_000, CODECS[codec] if interlaced else {}
        for number in range(12):
            picture = bar(number)
            if interlaced:
                picture[1::2] = bar(number + 0.5)[1::2]
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        file.mux(stream.encode())
    return path


def combs(picture: np.ndarray) -> float:
    """How much rows differ from both neighbours alike."""
    grey = picture.mean(2)
    return float(np.abs(2 * grey[1:-1] - grey[:-2] - grey[2:]).mean())


@pytest.mark.parametrize("codec", CODECS)
def test_interlaced_images_become_whole(codec: str, tmp_path: Path) -> None:
    video = read_video(write(tmp_path / "tv.mkv", codec, interlaced=True))
    assert video.info.interlaced and len(video) == 12
    pictures = list(video)
    assert max(combs(picture) for picture in pictures) < 2.0
    for number in (3, 7):
        columns = pictures[number].mean((0, 2))
        assert abs(np.flatnonzero(columns > 130)[0] - (10 + 8 * number)) <= 4


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "film.mkv", "libx264", interlaced=False)
    assert not probe(path).interlaced
    assert len(list(read_video(path))) == 12
