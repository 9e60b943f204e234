"""The live clock, run faster than real time by a clock of the test's own."""

import numpy as np

from gtalk.talk import Talker
from gtalk.types import AUDIO_RATE
from gtalk.viewer.session import LiveSession
from gtalk.viewer.sources import PushSource
from tests.toys import ToyAvatar, ToyMotionModel


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def make_session() -> tuple[LiveSession, Clock]:
    avatar, clock = ToyAvatar(32), Clock()
    return LiveSession(Talker(avatar, ToyMotionModel(avatar.basis)), clock=clock), clock


def run(session: LiveSession, clock: Clock, ticks: int) -> None:
    for _ in range(ticks):
        clock.now_s += 1 / 25
        session.tick()


def voice(seconds: float) -> np.ndarray:
    return (0.3 * np.sin(np.arange(round(seconds * AUDIO_RATE)) * 0.2)).astype(np.float32)


def test_a_minute_of_ticks_keeps_sound_and_picture_together() -> None:
    session, clock = make_session()
    listener = session.listen(lambda: None)
    source = PushSource("tts", audible=True, bounded=False)
    session.play(source)
    heard, times = [], []
    for second in range(60):
        source.push(voice(1.0) * (second % 2))
        for _ in range(5):
            run(session, clock, 5)
            heard += [frame.samples for frame in listener.frames]
            times += [frame.time_s for frame in listener.frames]
            listener.frames.clear()
    np.testing.assert_allclose(times, np.arange(len(times)) / 25, atol=1e-9)
    sound = np.concatenate(heard)
    expected = np.concatenate([voice(1.0) * (s % 2) for s in range(60)])[: len(sound)]
    np.testing.assert_array_equal(sound, expected)
    assert session.n_dropped == 0
    assert len(session._taken) <= 4


def test_late_pictures_are_dropped_but_their_sound_is_not() -> None:
    session, clock = make_session()
    listener = session.listen(lambda: None)
    run(session, clock, 25)
    listener.frames.clear()
    clock.now_s += 0.5  # the machine was busy
    for _ in range(12):
        session.tick()
    assert session.n_dropped > 5
    assert all(len(frame.samples) == 640 for frame in listener.frames)
    dropped = session.n_dropped
    run(session, clock, 25)
    assert session.n_dropped - dropped <= 2


def test_barge_in_closes_the_mouth_within_150_ms_and_empties_the_queues() -> None:
    session, clock = make_session()
    listener = session.listen(lambda: None)
    source = PushSource("tts", audible=True, bounded=False)
    source.push(voice(10.0))
    session.play(source)
    run(session, clock, 50)
    open_before = listener.frames[-1].aperture
    session.interrupt()
    assert not listener.frames
    run(session, clock, 6)
    frames = list(listener.frames)
    assert open_before > 0.02
    assert all(np.abs(frame.samples).max() == 0 for frame in frames)
    assert frames[4].aperture < 0.1 * open_before
    assert session.source is None


def test_a_slow_listener_loses_its_own_frames_only() -> None:
    session, clock = make_session()
    slow, quick = session.listen(lambda: None), session.listen(lambda: None)
    seen = 0
    for _ in range(100):
        run(session, clock, 1)
        seen += len(quick.frames)
        quick.frames.clear()
    assert seen >= 97
    assert len(slow.frames) == 12
    session.leave(slow)
    assert session.stats().listeners == 1


def test_what_is_pushed_late_is_silence_in_between() -> None:
    session, clock = make_session()
    listener = session.listen(lambda: None)
    source = PushSource("mic", audible=False)
    session.play(source)
    source.push(voice(0.02))
    run(session, clock, 10)
    sound = np.concatenate([f.samples for f in listener.frames])
    assert np.abs(sound[:320]).max() > 0.1
    assert np.abs(sound[320:]).max() == 0
