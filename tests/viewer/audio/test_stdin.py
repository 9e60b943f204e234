"""Sound on stdin."""

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from gtalk.types import AUDIO_RATE
from gtalk.viewer.audio.stdin import speak_pipe
from tests.support.strange_media import write_sound
from tests.viewer.live_servers import run, still_session


def wait_for(condition, timeout_s: float = 5.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_odd_pieces_of_another_rate_are_spoken_whole_and_held_back() -> None:
    session, clock = still_session(16)
    listener = session.listen(lambda: None)
    reader, writer = os.pipe()
    told: list[str] = []
    thread = speak_pipe(os.fdopen(reader, "rb"), 8000, session, told.append)
    data = np.full(8000 * 2, 8192, "<i2").tobytes()
    heard = []
    with os.fdopen(writer, "wb", buffering=0) as pipe:
        for start in range(0, len(data), 333):  # pieces that cut samples in halves
            pipe.write(data[start : start + 333])
        wait_for(lambda: session.source is not None and session.source.full)
        assert session.stats().buffered_s < 0.6, "two seconds were sent, half a second is read ahead"
    while session.source is not None or len(heard) < 60:
        run(session, clock, 1)
        time.sleep(0.005)
        heard += [frame.samples for frame in listener.frames]
        listener.frames.clear()
    thread.join(timeout=5)
    assert told == ["stdin ended"]
    sound = np.concatenate(heard)
    spoken = np.count_nonzero(np.abs(sound - 0.25) < 0.01) / AUDIO_RATE
    assert 1.98 < spoken < 2.01
    assert session.source is None


def test_after_a_barge_in_the_rest_is_ignored_until_a_pause(monkeypatch) -> None:
    monkeypatch.setattr("gtalk.viewer.audio.stdin._PAUSE_S", 0.1)
    session, clock = still_session(16)
    reader, writer = os.pipe()
    speak_pipe(os.fdopen(reader, "rb"), AUDIO_RATE, session, lambda _: None)
    piece = np.full(320, 8192, "<i2").tobytes()
    with os.fdopen(writer, "wb", buffering=0) as pipe:
        pipe.write(piece)
        wait_for(lambda: session.source is not None)
        session.interrupt()
        for _ in range(5):
            pipe.write(piece)
            time.sleep(0.02)
        assert session.source is None
        time.sleep(0.2)
        pipe.write(piece)
        wait_for(lambda: session.source is not None)
    run(session, clock, 3)


def spoken(data: bytes) -> tuple[np.ndarray, list[str]]:
    """What is heard of bytes on stdin, and what is told."""
    session, clock = still_session(16)
    listener = session.listen(lambda: None)
    reader, writer = os.pipe()
    told: list[str] = []
    thread = speak_pipe(os.fdopen(reader, "rb"), AUDIO_RATE, session, told.append)

    def write() -> None:
        with os.fdopen(writer, "wb", buffering=0) as pipe:
            pipe.write(data)

    threading.Thread(target=write, daemon=True).start()
    heard: list[np.ndarray] = []
    end = time.monotonic() + 30
    while (thread.is_alive() or session.source is not None or len(heard) < 5) and time.monotonic() < end:
        run(session, clock, 1)
        time.sleep(0.005)
        heard += [frame.samples for frame in listener.frames]
        listener.frames.clear()
    return np.concatenate(heard), told


@pytest.mark.parametrize(("codec", "form"), [("pcm_s16le", "wav"), ("libmp3lame", "mp3"), ("libopus", "ogg")])
def test_files_in_the_pipe_are_heard_at_their_own_pitch_and_length(codec: str, form: str, tmp_path: Path) -> None:
    rate = 48_000 if codec == "libopus" else 22_050
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * rate) / rate)
    channels = np.stack([tone, tone], 1)
    sound, told = spoken(write_sound(tmp_path / "a", channels, rate, codec, form).read_bytes())
    assert told == ["stdin ended"]
    loud = np.flatnonzero(np.abs(sound) > 0.1)
    assert abs((loud[-1] - loud[0]) / AUDIO_RATE - 2.0) < 0.06
    part = sound[loud[0] + 4000 : loud[0] + 20_000]
    assert abs(int(np.argmax(np.abs(np.fft.rfft(part)))) - 440) <= 2
    assert np.abs(sound).max() < 0.6, "no click, no noise"


def test_what_is_no_sound_is_refused_in_words() -> None:
    sound, told = spoken(b"OggS" + bytes(range(256)) * 64)
    assert np.abs(sound).max() == 0.0
    assert "not read any further" in told[0]
