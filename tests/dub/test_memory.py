"""A long dub needs no more memory than a short one."""

from pathlib import Path

import numpy as np
import pytest

from gtalk.dub.config import DubConfig
from gtalk.dub.render import render_dub
from gtalk.media.audio import write_wav
from gtalk.types import AudioTrack
from tests.support.toys import speech_like, toy_character

STATUS = Path("/proc/self/statm")


@pytest.mark.skipif(not STATUS.exists(), reason="reads /proc, which Linux has")
def test_six_times_the_length_needs_no_more_memory(tmp_path):
    half = speech_like(30.0)

    def peak_mb(times: int) -> float:
        source = tmp_path / f"{times}.wav"
        write_wav(source, AudioTrack(np.tile(half, times)))
        seen = []
        render_dub(
            toy_character(16), source, tmp_path / f"{times}.mp4", DubConfig(fps=4.0),
            lambda progress: seen.append(int(STATUS.read_text().split()[1]) * 4096 / 2**20),
        )  # fmt: skip
        return max(seen)

    peak_mb(1)  # libraries and their pools
    short = peak_mb(1)
    assert peak_mb(6) < 1.10 * short
