"""What breaks in a live conversation costs a moment, not the conversation."""

import time
from collections.abc import Callable

import numpy as np

from gtalk.motion.edits.controls import Controls
from gtalk.talk import Talker
from gtalk.viewer.live.session import LiveSession
from tests.support.toys import ToyAvatar, ToyMotionModel
from tests.viewer.live_servers import run, still_session


def test_a_source_that_breaks_is_dropped_and_told() -> None:
    class Broken:
        name, audible = "broken.mp3", True

        def read(self, count: int):
            raise OSError("gone")

    session, clock = still_session(16)
    told: list[str] = []
    session._report = told.append
    session.play(Broken())
    run(session, clock, 3)
    assert session.source is None
    assert told == ["broken.mp3 failed: gone"]


def test_a_image_that_fails_is_dropped_and_told() -> None:
    session, clock = still_session(16)
    told: list[str] = []
    session._report = told.append
    session.listen(lambda: None)
    session.set_image(None, np.zeros((3, 3, 3), np.uint8))
    run(session, clock, 10)
    session.set_image(None, "plate")
    run(session, clock, 10)
    assert session.n_dropped >= 5
    assert told
    assert told[0].startswith("an image failed")
    assert session.stats().drawn >= 9


class Fragile:
    """An edit that breaks where the mouth is opened far."""

    def __init__(self) -> None:
        self.mouth = 1.0

    def receive(self, event: object) -> None:
        if isinstance(event, Controls):
            self.mouth = event.mouth

    def __call__(self, motion, start_frame=0):
        if self.mouth > 1.5 and len(motion):
            raise ValueError("three numbers for two")
        return motion


def within(seconds: float, happened: Callable[[], bool]) -> bool:
    end_s = time.monotonic() + seconds
    while not happened() and time.monotonic() < end_s:
        time.sleep(0.01)
    return happened()


def test_a_session_that_breaks_begins_anew_and_is_told() -> None:
    avatar, said, told = ToyAvatar(32), [], []
    session = LiveSession(Talker(avatar, ToyMotionModel(avatar.basis), edits=[Fragile]), report=said.append)
    session.on_trouble = told.append
    listener = session.listen(lambda: None)
    session.start()
    try:
        assert within(10, lambda: bool(listener.frames))
        session.set_controls(Controls(mouth=2.0))
        assert within(10, lambda: len(told) >= 2)
        assert told[0] == "The conversation broke and began anew."
        assert told[1] == "The conversation broke and began anew, with its first settings."
        assert session.controls == Controls() and said[0] == "session broke: ValueError: three numbers for two"
        assert listener.flushed, "what was handed out before is over"
        listener.frames.clear()
        assert within(10, lambda: len(listener.frames) > 3), "pictures come again"
        session.set_controls(Controls(mouth=1.2))
        assert len(told) == 2
    finally:
        session.stop()


def test_a_server_that_was_suspended_replays_nothing() -> None:
    slept_s = 0.0
    avatar = ToyAvatar(32)
    session = LiveSession(Talker(avatar, ToyMotionModel(avatar.basis)), clock=lambda: time.monotonic() + slept_s)
    session.start()
    try:
        assert within(10, lambda: session._n_ticks > 3)
        slept_s, before = 3600.0, session._n_ticks
        assert within(10, lambda: session._n_ticks > before + 3)
        assert session._n_ticks < before + 500, "an hour has 90 000 ticks"
    finally:
        session.stop()
