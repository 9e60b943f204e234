"""What a visitor may cost, and lines that repeat."""

import asyncio

import pytest

from gtalk.hosting.budget import Budget, QuietLog


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_budget_is_spent_and_fills_again() -> None:
    clock = Clock()
    budget = Budget(2.0, 3.0, clock)
    assert [budget.spend() for _ in range(4)] == [True, True, True, False]
    clock.now_s = 0.5
    assert budget.spend() and not budget.spend()
    clock.now_s = 100.0
    assert [budget.spend() for _ in range(4)] == [True, True, True, False], "no more than the burst is saved"
    assert budget.owe(4.0) == pytest.approx(2.0)
    assert asyncio.run(Budget(1000.0, 1.0).wait(2.0)) is None


def test_lines_that_repeat_are_counted() -> None:
    clock, told = Clock(), []
    log = QuietLog(told.append, clock)
    for i in range(1000):
        log(f"refused: 401 a valid token is needed {i}")
    log("session 'ada' opened")
    assert len(told) == 6 and told[-1] == "session 'ada' opened"
    clock.now_s = 11.0
    log("refused: 401 a valid token is needed again")
    assert told[6:] == ["995 more lines as 'refused: 401 a v'...", "refused: 401 a valid token is needed again"]
    log("evil\x1b[2J\nfake: line" + "x" * 10_000)
    assert told[-1].startswith("evil?[2J?fake: line") and len(told[-1]) == 300
