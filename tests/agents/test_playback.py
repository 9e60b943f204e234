"""How far playback is, told by what goes into another's queue and comes out of it."""

import pytest

from gtalk.agents.playback import Playback


def test_the_position_is_that_of_what_came_out() -> None:
    playback = Playback()
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
    playback = Playback()
    playback.give(0.04, 0.0, False)
    playback.play(0.04)
    for i in range(10):
        playback.give(0.04, 0.04 * (i + 1), True)
    playback.play(0.12)
    assert playback.forget() == pytest.approx(0.12)
    assert playback.waiting_s == 0.0 and playback.position_s == 0.0
    playback.give(0.04, 0.04, True)
    assert playback.waiting_s == pytest.approx(0.04) and playback.position_s == 0.0


def test_where_nothing_is_told_of_the_queue_all_counts_as_played() -> None:
    playback = Playback()
    playback.give(0.04, 0.04, True)
    playback.give(0.04, 0.08, True)
    assert playback.waiting_s == 0.0 and playback.position_s == pytest.approx(0.08)
