"""Rows of the zoo are kept, for the same numbers only."""

from __future__ import annotations

from tools.bench.fit.zoo import Row, keep_row, kept_row


def test_a_row_is_read_back_where_it_was_measured_alike(tmp_path) -> None:
    path, row = tmp_path / "beard.json", Row("beard", 0.01, 1.0, 0.98, 57.0, 30.5, None, "nothing", 3.0)
    assert kept_row(path, [40, 2, 256, 100]) is None
    keep_row(path, [40, 2, 256, 100], row)
    assert kept_row(path, [40, 2, 256, 100]) == row
    assert kept_row(path, [40, 2, 256, 150]) is None
    assert row.words() == "| beard | 1.0% | 100.0% | 0.980 | 57 | 30.5 | - | nothing |"
