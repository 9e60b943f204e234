"""Files of visitors, decoded in a process of their own."""

import time
from pathlib import Path

import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.media import decode
from gtalk.media.audio import write_wav
from gtalk.types import AUDIO_RATE, AudioTrack
from gtalk.viewer.audio import strangers_file
from gtalk.viewer.audio.strangers_file import StrangersFile
from tests.viewer.live_servers import voice


def played(source: StrangersFile) -> np.ndarray:
    pieces, end_s = [], time.monotonic() + 20
    while (piece := source.read(640)) is not None and time.monotonic() < end_s:
        pieces.append(piece)
        time.sleep(0.001)
    return np.concatenate(pieces)


def test_it_is_played_whole(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", AudioTrack(voice(5.0)))
    source = StrangersFile(tmp_path / "a.wav", "my song")
    assert source.name == "my song" and source.audible and 0 < source.buffered_s < 3.0
    np.testing.assert_allclose(played(source), voice(5.0), atol=1e-4)


def test_what_is_no_sound_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"not a sound" * 100)
    with pytest.raises(UserError, match="media file"):
        StrangersFile(tmp_path / "a", "a")


def test_a_decoder_that_dies_is_told_and_one_that_is_not_wanted_ends(tmp_path: Path, monkeypatch) -> None:
    write_wav(tmp_path / "a.wav", AudioTrack(voice(600.0)[: 60 * AUDIO_RATE]))
    source = StrangersFile(tmp_path / "a.wav", "long")
    process = source._process
    assert process.poll() is None, "it waits until there is room"
    del source
    assert process.wait(10) == -9
    (tmp_path / "crash.py").write_text("import os; os.abort()")
    monkeypatch.setattr(decode, "__file__", str(tmp_path / "crash.py"))
    with pytest.raises(UserError, match=r"an end of its decoder \(status -6\)"):
        StrangersFile(tmp_path / "a.wav", "evil")
    (tmp_path / "crash.py").write_text("import time; time.sleep(60)")
    monkeypatch.setattr(strangers_file, "_FIRST_S", 0.5)
    with pytest.raises(UserError, match="sound that can be played"):
        StrangersFile(tmp_path / "a.wav", "slow")
