"""Time left from what the stages weigh; a run that goes on counts only what it did itself."""

import pytest

from gtalk.studio.pace import WEIGHTS, Pace


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_at_a_steady_pace_the_time_left_is_right_throughout() -> None:
    clock, whole_s = Clock(), 2.0 * sum(WEIGHTS["train"].values())
    pace, gone = Pace("train", clock), 0.0
    pace.report("media", 0, 100)
    for stage, weight in WEIGHTS["train"].items():
        for done in range(1, 11):
            gone += 2.0 * weight / 10
            clock.now_s = gone
            pace.report(stage, done, 10)
            assert pace.share == pytest.approx(gone / whole_s)
            if (left_s := pace.left_s()) is not None:
                assert left_s == pytest.approx(whole_s - gone, abs=1e-6)
    assert pace.share == pytest.approx(1.0)


def test_a_run_that_goes_on_counts_from_where_it_began() -> None:
    clock = Clock()
    pace = Pace("train", clock)
    clock.now_s = 100.0  # loading
    pace.report("fit", 0, 2500)
    first = pace.share
    clock.now_s = 110.0
    pace.report("fit", 1250, 2500)
    assert pace.left_s() == pytest.approx(10.0 * (1 - pace.share) / (pace.share - first))


def test_unknown_stages_and_totals_move_nothing_back() -> None:
    pace = Pace("train")
    pace.report("masks", 5, 10)
    share = pace.share
    for stage, total in (("a new stage", 10), ("media", None), ("landmarks", 0)):
        pace.report(stage, 1, total)
        assert pace.share == share
    other = Pace("dub")
    other.report("dub", 3, 12)
    assert other.share == 0.25 and other.left_s() is None


def test_a_stage_beside_another_hides_it_not() -> None:
    pace = Pace("train")
    pace.report("motion features", 1, 3)
    pace.report("fit", 20, 2500)
    share = pace.share
    pace.report("motion", 300, 600)
    assert pace.stage == "fit" and share <= pace.share < 0.75
    pace.report("fit", 2500, 2500)
    assert pace.share < 1.0
    pace.report("motion", 301, 600)
    assert pace.stage == "motion"
    for stage in ("motion features", "motion"):
        pace.report(stage, 1, 1)
    assert pace.share == pytest.approx(1.0)
