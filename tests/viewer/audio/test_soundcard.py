"""The sound card, played by a stand-in for the package sounddevice."""

import sys
import types

import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.viewer.audio.soundcard import SoundCard
from tests.viewer.live_servers import run, still_session


class PortAudioError(Exception):
    pass


class Stream:
    last: "Stream"

    def __init__(self, **options) -> None:
        self.options, self.running = options, False
        Stream.last = self

    def start(self) -> None:
        self.running = True

    def stop(self) -> None:
        self.running = False
        self.options["finished_callback"]()

    def close(self) -> None:
        pass

    def hear(self, value: float) -> None:
        block = np.full((self.options["blocksize"], 1), value, np.float32)
        self.options["callback"](block, len(block), None, None)


@pytest.fixture
def card(monkeypatch):
    def query_devices(device, kind):
        if device == "none":
            raise ValueError("No input device matching 'none'")
        return {"name": "Studio", "index": 3, "default_samplerate": 44_100.0}

    library = types.ModuleType("sounddevice")
    library.InputStream, library.query_devices, library.PortAudioError = Stream, query_devices, PortAudioError
    monkeypatch.setitem(sys.modules, "sounddevice", library)


def test_the_card_drives_the_face_at_its_own_rate(card) -> None:
    session, clock = still_session(16)
    listener = session.listen(lambda: None)
    microphone = SoundCard(session, "Stu", lambda _: None)
    assert (Stream.last.options["samplerate"], Stream.last.options["device"]) == (44_100, 3)
    for _ in range(30):
        for _ in range(4):
            Stream.last.hear(0.5)
        run(session, clock, 1)
    assert abs(listener.frames[-1].samples[-1] - 0.5) < 0.01
    assert not listener.frames[-1].audible, "the visitor's own voice is not played back"
    microphone.close()
    assert not Stream.last.running
    assert session.microphone is None


def test_a_card_that_is_unplugged_is_told_and_the_session_goes_on(card) -> None:
    session, clock = still_session(16)
    told: list[str] = []
    SoundCard(session, None, told.append)
    Stream.last.hear(0.5)
    run(session, clock, 2)
    Stream.last.options["finished_callback"]()  # PortAudio ends the stream
    run(session, clock, 5)
    assert told == ["the microphone 'Studio' is gone; plug it in and start again"]
    assert session.source is None


def test_no_such_card_is_the_users_fault(card) -> None:
    with pytest.raises(UserError, match="No input device matching"):
        SoundCard(still_session(16)[0], "none", lambda _: None)


def test_no_library_is_told(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(UserError, match=r"gtalk\[live\]"):
        SoundCard(still_session(16)[0], None, lambda _: None)
