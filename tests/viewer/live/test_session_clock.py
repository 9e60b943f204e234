"""The clock of a live conversation follows the microphone's."""

import numpy as np
import pytest

from gtalk.types import AUDIO_RATE
from gtalk.viewer.audio.sources import PushSource
from gtalk.viewer.live.session import LiveSession
from tests.viewer.live_servers import Clock, run, still_session


def live_microphone(session: LiveSession, clock: Clock, seconds: float, rate_error: float):
    """Ticks while a microphone whose clock is off pushes 8 ms pieces; what is left over after each tick."""
    microphone = PushSource("microphone", audible=False)
    session.hear(microphone)
    pushed_s, left, lag = 0.0, [], []
    waited = microphone.wait
    microphone.wait = lambda count, timeout_s: 0.0  # the test's time stands still inside a tick
    while clock.now_s < seconds:
        due = session._start_of(session._n_ticks + 1)
        clock.now_s = max(clock.now_s, due)
        while pushed_s + 0.008 <= clock.now_s * (1 + rate_error):
            piece = np.full(128, 0.1, np.float32)
            microphone.push(piece, AUDIO_RATE, captured_ms=pushed_s / (1 + rate_error) * 1e3)
            pushed_s += 0.008
        session._follow_microphone()
        session.tick()
        left.append(microphone.buffered_s)
        lag.append(clock.now_s - microphone.heard_ms / 1e3)
    microphone.wait = waited
    return np.array(left), np.array(lag), microphone


@pytest.mark.parametrize("rate_error", [1e-3, -1e-3])
def test_ticks_follow_the_microphones_clock(rate_error: float) -> None:
    session, clock = still_session(16)
    left, lag, microphone = live_microphone(session, clock, 24.0, rate_error)
    settled = slice(200, None)
    assert left[settled].max() < 0.02
    assert lag[settled].max() < 0.07, "the 40 ms of the tick itself and a piece or two"
    assert microphone.n_skipped < 0.1 * AUDIO_RATE


@pytest.mark.parametrize("late_s", [0.0, 0.005, 0.011])
def test_after_a_piece_that_came_late_ticks_begin_when_their_sound_is_there(late_s: float) -> None:
    session, clock = still_session(16)
    microphone = PushSource("microphone", audible=False, clock=clock)  # by WebRTC: 20 ms a piece
    session.hear(microphone)
    arrivals, waited = iter(0.02 * (i + 1) + late_s * (i in (101, 141)) for i in range(1000)), []
    due = [next(arrivals)]

    def arrive(until_s: float) -> None:
        while due[0] <= until_s:
            clock.now_s = due[0]
            microphone.push(np.full(320, 0.1, np.float32))
            due[0] = next(arrivals)

    def wait(count: int, timeout_s: float) -> float:
        begin_s, end_s = clock.now_s, clock.now_s + timeout_s
        while microphone._ready < count and due[0] <= end_s:
            arrive(due[0])
        return clock.now_s - begin_s

    microphone.wait = wait
    while clock.now_s < 8.0:
        begin_s = session._start_of(session._n_ticks + 1)
        arrive(begin_s)
        clock.now_s = max(clock.now_s, begin_s)
        session._follow_microphone()
        waited.append(microphone.waited_s(session._tick_samples()))
        session.tick()
    assert max(waited[150:]) < 0.004, "no longer than before"
    assert microphone.n_skipped == 0


def test_a_microphone_that_stalls_is_live_again_at_once() -> None:
    session, clock = still_session(16)
    microphone = PushSource("microphone", audible=False)
    session.hear(microphone)
    run(session, clock, 30)
    microphone.push(np.full(round(0.35 * AUDIO_RATE), 0.1, np.float32))  # what piled up on the way
    session._follow_microphone()
    session.tick()
    assert microphone.buffered_s < 0.01


def test_capture_times_come_back_with_the_image_of_that_sound() -> None:
    session, clock = still_session(16)
    listener = session.listen(lambda: None)
    microphone = PushSource("microphone", audible=False)
    session.hear(microphone)
    seen = []
    for tick in range(50):
        for piece in range(5):
            microphone.push(np.full(384, 0.1, np.float32), 48_000, captured_ms=1000.0 + tick * 40 + piece * 8)
        run(session, clock, 1)
        seen += [(frame.time_s, frame.heard_ms) for frame in listener.frames]
        listener.frames.clear()
    times_s, heard_ms = np.array(seen[5:]).T
    # The resampler holds back 3 ms, and the first tick lacked them: everything is that much later.
    np.testing.assert_allclose(heard_ms, 1000.0 + times_s * 1e3, atol=4.0)
