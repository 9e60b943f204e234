"""Ticks of a session go to an outlet; one that breaks is opened anew, and the report says so in words."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.viewer.audio.sources import PushSource, speech_source
from gtalk.viewer.live.session import LiveSession
from gtalk.viewer.outlets import pump as pumps
from gtalk.viewer.outlets.config import OutConfig, place_of
from gtalk.viewer.outlets.opened import open_outlets
from gtalk.viewer.outlets.pump import Pump
from tests.media.listeners import Listening
from tests.viewer.live_servers import run, still_session, toy_cast, voice


class Sink:
    """Notes what it gets, and breaks when it is told to."""

    def __init__(self) -> None:
        self.ticks: list[tuple[np.ndarray | None, np.ndarray, float]] = []
        self.flushed = self.closed = 0
        self.breaks = False

    def send(self, rgb, samples, time_s) -> None:
        if self.breaks:
            raise OSError("the cable is out")
        self.ticks.append((rgb, samples, time_s))

    def flush(self) -> None:
        self.flushed += 1

    def close(self) -> None:
        self.closed += 1


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    end_s = time.monotonic() + seconds
    while not true() and time.monotonic() < end_s:
        time.sleep(0.01)
    assert true()


def test_an_outlet_that_breaks_is_opened_again_and_its_times_go_onwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pumps, "_BACK_OFF_S", (0.05,))
    monkeypatch.setattr(pumps, "_SURE_TICKS", 3)
    session, clock = still_session()
    sinks, said = [], []

    def make() -> Sink:
        sinks.append(Sink())
        if len(sinks) == 2:
            raise UserError("it", expected="a cable", got="none", remedy="Plug it in.")
        return sinks[-1]

    pump = Pump(session, "it", make, said.append)
    pump.start()
    session.play(speech_source(voice(10.0)))

    def filled(number: int, count: int) -> bool:
        if len(sinks) > number:
            run(session, clock, 1)
        return len(sinks) > number and len(sinks[number].ticks) >= count

    until(lambda: filled(0, 5))
    session.interrupt()
    until(lambda: filled(0, 8))
    sinks[0].breaks = True
    until(lambda: filled(0, 0) and len(sinks) > 2)
    until(lambda: filled(2, 5))
    pump.stop()
    assert sinks[0].flushed == 1 and sinks[0].closed == sinks[2].closed == 1
    times_s = [time_s for _, _, time_s in sinks[0].ticks]
    assert np.all(np.diff(times_s) > 0.039) and sinks[2].ticks[0][2] == 0.0
    assert [line.partition(";")[0].partition("(")[0].strip() for line in said][:2] == ["it: on", "it: the cable is out"]
    assert "Plug it in" in said[2] and said[-1] == "it: on"
    assert not session.stats().listeners and threading.active_count() < 50


def test_who_drives_the_face_by_a_microphone_is_heard_abroad_but_not_by_the_loudspeaker_beside_it() -> None:
    session, clock = still_session()
    microphone = PushSource("microphone", audible=False)
    outlets = {everything: Sink() for everything in (True, False)}
    ends = []
    for everything, sink in outlets.items():
        pump = Pump(session, "it", lambda sink=sink: sink, lambda _line: None, pictures=False, everything=everything)
        pump.start(now=True)
        ends.append(pump.stop)
    until(lambda: session.stats().listeners == 2)
    session.hear(microphone)
    for _ in range(10):
        microphone.push(voice(0.04))
        run(session, clock, 1)
        time.sleep(0.01)
    until(lambda: all(len(sink.ticks) >= 8 for sink in outlets.values()))
    for end in ends:
        end()
    loud = {which: max(np.abs(samples).max() for _, samples, _ in sink.ticks) for which, sink in outlets.items()}
    assert loud[True] > 0.2 and loud[False] == 0.0
    assert all(rgb is None for sink in outlets.values() for rgb, _, _ in sink.ticks)


def test_a_session_is_pushed_to_a_server_that_comes_late_and_its_key_is_told_to_nobody() -> None:
    said: list[str] = []
    session = LiveSession(toy_cast(64)())
    session.start()
    late = Listening("rtmp", 1.0)
    port = late.port
    late.kill()
    ends = open_outlets(session, OutConfig(push_out=late.url), said.append, label=True)
    until(lambda: bool(said))
    there = Listening("rtmp", 3.0, port)
    session.play(speech_source(voice(30.0)))
    seen = there.seen()
    for end in ends:
        end()
    session.stop()
    assert seen["last"][:2] == [64, 64] and seen["last"][2] > 10 and max(seen["level"]) > 0.1
    assert "trying again in 1 s" in said[0] and any(line.endswith(": on") for line in said)
    assert "secret" not in " ".join(said) and f"rtmp://127.0.0.1:{port}" in said[0]


@pytest.mark.parametrize(("what", "url"), [("whip", "ftp://a/b"), ("whip", "https://"), ("push_out", "http://a/key"),
                                           ("push_out", "rtmp://a:99999/key"), ("push_out", "srt:key")])  # fmt: skip
def test_addresses_that_are_none_are_refused_and_not_repeated(what: str, url: str) -> None:
    with pytest.raises(UserError, match="Write the server's address so") as told:
        OutConfig(**{what: url})
    assert "key" not in str(told.value).replace("srt:key", "")
    assert place_of("rtmps://live.example.org:443/app/key?x=y") == "rtmps://live.example.org:443"


def test_what_was_opened_is_closed_where_a_later_one_is_not_there(tmp_path) -> None:
    session, _ = still_session()
    with pytest.raises(UserError, match="modprobe v4l2loopback"):
        open_outlets(session, OutConfig(camera=tmp_path / "video9"), lambda _line: None, label=True)
    assert session.stats().listeners == 0
