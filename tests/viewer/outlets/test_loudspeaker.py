"""What is said goes to a sound device, played by a stand-in for the package sounddevice."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.viewer.outlets.loudspeaker import Loudspeaker

RATE = 48_000


class PortAudioError(Exception):
    pass


class Stream:
    last: Stream

    def __init__(self, **options) -> None:
        self.options = options
        Stream.last = self

    def start(self) -> None: ...

    def stop(self) -> None:
        self.options["finished_callback"]()

    def close(self) -> None: ...

    def play(self, count: int) -> np.ndarray:
        block = np.full((count, 1), np.nan, np.float32)
        self.options["callback"](block, count, None, None)
        return block[:, 0]


@pytest.fixture
def device(monkeypatch):
    def query_devices(device, kind):
        if device == "none":
            raise ValueError("No output device matching 'none'")
        return {"name": "Studio", "index": 3, "default_samplerate": float(RATE)}

    library = types.ModuleType("sounddevice")
    library.OutputStream, library.query_devices, library.PortAudioError = Stream, query_devices, PortAudioError
    monkeypatch.setitem(sys.modules, "sounddevice", library)


def tick(n: int) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * 400 * np.arange(640 * n, 640 * (n + 1)) / 16_000)).astype(np.float32)


def test_ticks_are_played_at_the_devices_rate_without_a_gap(device) -> None:
    out, played = Loudspeaker("Studio"), []
    for n in range(50):
        out.send(None, tick(n), n / 25)
        played.append(Stream.last.play(RATE // 25))
    sound = np.concatenate(played)
    begin = int(np.argmax(np.abs(sound) > 0.01))
    assert 0.03 < begin / RATE < 0.13
    said = sound[begin + 500 :]
    spectrum = np.abs(np.fft.rfft(said * np.hanning(len(said))))
    assert np.argmax(spectrum) * RATE / len(said) == pytest.approx(400, abs=2)
    assert np.abs(np.diff(said)).max() < 0.5 * 2 * np.pi * 400 / RATE * 1.1  # no jump
    out.flush()
    assert not Stream.last.play(RATE // 25).any()
    out.close()


def test_what_piles_up_goes_and_a_device_that_went_is_told(device) -> None:
    out = Loudspeaker("default")
    for n in range(100):
        out.send(None, tick(n), n / 25)
    n_played = 0
    while Stream.last.play(480).any():
        n_played += 480
    assert n_played < 0.3 * RATE
    Stream.last.stop()
    with pytest.raises(OSError, match="Studio"):
        out.send(None, tick(0), 4.0)


def test_no_device_and_no_library_are_words(device, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="matching 'none'"):
        Loudspeaker("none")
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(UserError, match=r"gtalk\[live\]"):
        Loudspeaker("default")
