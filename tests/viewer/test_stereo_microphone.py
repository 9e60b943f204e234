"""A stereo microphone in a real browser: both channels reach the ears, and the face looks where sound comes from."""

import time
import wave
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from gtalk.direct.score import Event
from tests.viewer.chromium import Browser, needs_chromium
from tests.viewer.live_servers import from_aside, live_server

RATE = 48_000


class Followed:
    """What a server's ears hear of both channels, and what they ask of the face."""

    def __init__(self, server) -> None:
        self.pieces: list[np.ndarray] = []
        self.rates: set[int] = set()
        self.looks: list[float] = []
        self._ears = server.main.ears
        self._obey = self._ears.obey
        self._ears.obey, server.main.media.on_both = self.obey, self.hear

    def obey(self, events) -> float:
        self.looks += [float(e.value or 0.0) for e in events if isinstance(e, Event) and e.track == "attend.yaw"]
        return self._obey(events)

    def hear(self, both: np.ndarray, rate: int) -> None:
        self.pieces.append(both)
        self.rates.add(rate)
        self._ears.hear_both(both, rate)

    def wait_for(self, true, seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not true(self):
            assert time.monotonic() < end, (len(self.pieces), self.looks[-5:])
            time.sleep(0.05)


def write_stereo(path: Path, both: np.ndarray) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(both.shape[1])
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(both, -1, 1) * 32767).astype("<i2").tobytes())
    return path


@contextmanager
def listening_page(sound: Path):
    """(what is followed, the page) of a server that listens, on a page that speaks into it."""
    with live_server(32, listens=True) as (server, _):
        followed = Followed(server)
        browser = Browser(sound)
        try:
            browser.open(server.url)
            browser.wait("window.gtalk && window.gtalk.shown > 5")
            browser.run("document.getElementById('mic').click()")
            browser.wait("document.getElementById('mic').classList.contains('on')")
            yield followed, browser
        finally:
            browser.close()


@needs_chromium
def test_two_channels_of_the_browsers_microphone_turn_the_face_to_one_side_and_then_to_the_other(tmp_path) -> None:
    sound = np.concatenate([from_aside(30.0, 3.0, RATE), from_aside(-25.0, 3.0, RATE)])
    with listening_page(write_stereo(tmp_path / "room.wav", sound)) as (followed, browser):
        settings = browser.run("gtalk.sound.microphone.track.getSettings()")
        assert settings["channelCount"] == 2 and settings["echoCancellation"] is False
        followed.wait_for(lambda f: any(abs(yaw - 30) < 6 for yaw in f.looks))
        followed.wait_for(lambda f: any(abs(yaw + 25) < 6 for yaw in f.looks))
    assert len(followed.rates) == 1
    both = np.concatenate(followed.pieces)
    assert np.abs(both[:, 0] - both[:, 1]).max() > 0.05, "two channels, not one twice"
    away = [yaw for yaw in followed.looks if abs(yaw) > 8]
    assert all(min(abs(yaw - 30), abs(yaw + 25)) < 6 for yaw in away), "it looks nowhere else"


@needs_chromium
def test_one_channel_twice_turns_nobody(tmp_path) -> None:
    alike = np.repeat(from_aside(0.0, 4.0, RATE)[:, :1], 2, axis=1)
    with listening_page(write_stereo(tmp_path / "mono.wav", alike)) as (followed, _):
        followed.wait_for(lambda f: sum(map(len, f.pieces)) > 3 * RATE)
    assert all(abs(yaw) < 8 for yaw in followed.looks)
