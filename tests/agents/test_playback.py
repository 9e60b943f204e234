"""How far playback is, told by what goes into another's queue and comes out of it."""

import pytest

from gtalk.agents.playback import Playback


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_the_position_is_that_of_what_came_out() -> None:
    playback = Playback(clock=Clock())
    playback.give(0.04, 0.0, False)
    playback.play(0.04)  # from now on it is known what waits
    for i in range(5):
        playback.give(0.04, 0.04 * (i + 1), True)
    assert playback.waiting_s == pytest.approx(0.2) and playback.position_s == 0.0
    playback.play(0.05)  # pieces need not be those that went in
    playback.play(0.05)
    assert playback.waiting_s == pytest.approx(0.1) and playback.position_s == pytest.approx(0.1)
    playback.give(0.04, 0.0, False)
    playback.play(0.1)
    assert playback.position_s == pytest.approx(0.2)
    playback.play(0.5)  # more than there was: a rounding, or a piece that was on its way when all was dropped
    assert playback.position_s == 0.0 and playback.waiting_s == 0.0


def test_what_was_dropped_does_not_wait_and_the_position_is_where_it_was_cut() -> None:
    playback = Playback(clock=Clock())
    playback.give(0.04, 0.0, False)
    playback.play(0.04)
    for i in range(10):
        playback.give(0.04, 0.04 * (i + 1), True)
    playback.play(0.12)
    assert playback.forget() == pytest.approx(0.12)
    assert playback.waiting_s == 0.0 and playback.position_s == 0.0
    playback.give(0.04, 0.04, True)
    playback.play(0.12)  # of what was on its way then
    assert playback.waiting_s == pytest.approx(0.04) and playback.position_s == pytest.approx(0.0, abs=1e-9)
    playback.play(0.04)
    assert playback.waiting_s == pytest.approx(0.0) and playback.position_s == pytest.approx(0.04)


def test_where_nothing_is_told_of_the_queue_all_counts_as_played() -> None:
    playback = Playback()
    playback.give(0.04, 0.04, True)
    playback.give(0.04, 0.08, True)
    assert playback.waiting_s == 0.0 and playback.position_s == pytest.approx(0.08)


def test_between_two_pieces_the_position_goes_on_with_time_and_what_is_packed_has_not_left() -> None:
    clock = Clock()
    playback = Playback(0.03, clock)
    playback.give(0.04, 0.0, False)
    playback.play(0.04)
    for i in range(5):
        playback.give(0.04, 0.04 * (i + 1), True)
    told = []
    for n in range(20):  # a piece of 40 ms each 40 ms
        clock.now_s += 0.01
        if n % 4 == 3:
            playback.play(0.04)
        told.append(playback.position_s)
    assert told == pytest.approx([max(0.0, 0.01 * (n + 1) - 0.03) for n in range(20)])
    clock.now_s += 5.0  # nothing comes out any more: it has not gone on
    assert playback.position_s == pytest.approx(0.17)
