"""A long dub needs no more memory than a short one."""

from pathlib import Path

import numpy as np
import pytest

from gtalk.dub.config import DubConfig
from gtalk.dub.export import render_dub
from gtalk.media.audio import write_wav
from gtalk.types import AudioTrack
from tests.toys import speech_like, toy_performer

STATUS = Path("/proc/self/statm")


@pytest.mark.skipif(not STATUS.exists(), reason="reads /proc, which Linux has")
def test_ten_minutes_need_no_more_than_one(tmp_path):
    minute = speech_like(60.0)

    def peak_mb(minutes: int) -> float:
        source = tmp_path / f"{minutes}.wav"
        write_wav(source, AudioTrack(np.tile(minute, minutes)))
        seen = []
        render_dub(
            toy_performer(16), source, tmp_path / f"{minutes}.mp4", DubConfig(fps=5.0),
            lambda progress: seen.append(int(STATUS.read_text().split()[1]) * 4096 / 2**20),
        )  # fmt: skip
        return max(seen)

    peak_mb(1)  # libraries and their pools
    short = peak_mb(1)
    assert peak_mb(10) < 1.10 * short
