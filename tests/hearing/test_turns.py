import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalk.errors import UserError
from gtalk.hearing.turns import Turn, error_of, errors_of, read_rttm, spans_of, without_overlap

TURN = st.builds(
    lambda who, start, length: Turn(who, start, start + length),
    st.sampled_from("ab"), st.floats(0.0, 20.0), st.floats(0.1, 5.0),
)  # fmt: skip


def test_spans_join_over_short_pauses_and_drop_clicks() -> None:
    speaks = np.zeros(1000, bool)
    speaks[100:200] = speaks[220:300] = speaks[500:600] = speaks[800:803] = True
    assert spans_of(speaks) == pytest.approx(np.array([(0.95, 3.0), (4.95, 6.0)]))


def test_rttm_is_read_exactly(tmp_path: Path) -> None:
    file = tmp_path / "a.rttm"
    file.write_text(
        "SPEAKER talk 1 2.500 1.250 <NA> <NA> bob <NA> <NA>\n;; words\nSPKR-INFO talk 1 <NA> <NA> <NA> x bob <NA>\n"
        "SPEAKER talk 1 0.125 2.000 <NA> <NA> ann <NA> <NA>\n"
    )
    assert read_rttm(file) == [Turn("ann", 0.125, 2.125), Turn("bob", 2.5, 3.75)]


@pytest.mark.parametrize("text", ["", "SPEAKER a 1 x 1 <NA> <NA> b", "SPEAKER a 1 -1 1 <NA> <NA> b", "SPEAKER a 1 2"])
def test_what_is_no_rttm(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.rttm").write_text(text)
    with pytest.raises(UserError, match=r"a\.rttm"):
        read_rttm(tmp_path / "a.rttm")


@given(st.lists(TURN, max_size=6))
def test_without_overlap_only_one_speaks(turns) -> None:
    kept, several_s = without_overlap(turns)
    assert several_s >= -1e-9 and all(a.end_s <= b.start_s + 1e-9 for a, b in itertools.pairwise(kept))
    spoken = np.zeros(2600, bool)
    for turn in turns:
        spoken[round(turn.start_s * 100) : round(turn.end_s * 100)] = True
    assert sum(t.length_s for t in kept) == pytest.approx(spoken.sum() / 100, abs=0.1)


def test_the_error_rate_counts_misses_false_alarms_and_confusions() -> None:
    truth = [Turn("a", 0.0, 4.0), Turn("b", 4.0, 8.0)]
    assert error_of([Turn("x", 0.0, 4.0), Turn("y", 4.0, 8.0)], truth, 10.0) == 0.0, "names do not matter"
    assert error_of([Turn("x", 0.0, 8.0)], truth, 10.0) == 0.5
    assert error_of([Turn("x", 0.0, 4.0)], truth, 10.0) == 0.5
    assert error_of([*truth, Turn("a", 8.0, 10.0)], truth, 10.0) == pytest.approx(0.25)


def test_the_parts_of_the_error_are_told_apart() -> None:
    truth = [Turn("a", 0.0, 4.0), Turn("b", 3.0, 8.0)]
    found = [Turn("x", 0.0, 5.0), Turn("y", 5.0, 9.0)]
    parts = errors_of(found, truth, 10.0)
    assert parts == pytest.approx((1 / 9, 1 / 9, 1 / 9)), "left out where both speak, after the end, and the first of b"
    assert error_of(found, truth, 10.0) == pytest.approx(sum(parts))
