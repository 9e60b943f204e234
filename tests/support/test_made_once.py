from pathlib import Path

import pytest

from tests.support.made_once import made_once


class Factory:
    """As pytest's, of one worker."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.getbasetemp = lambda: folder


def test_workers_of_a_run_share_what_one_made(tmp_path: Path) -> None:
    asked = []

    def make(folder: Path) -> None:
        asked.append(folder)
        (folder / "a.txt").write_text("whole")

    folders = {made_once(Factory(tmp_path / f"popen-gw{k}"), "slow", make) for k in (0, 1, 0)}  # type: ignore[arg-type]
    assert folders == {tmp_path / "slow"} and asked == [tmp_path / "slow"]
    assert (tmp_path / "slow/a.txt").read_text() == "whole"
    assert made_once(Factory(tmp_path / "alone"), "slow", make) == tmp_path / "alone/slow"  # type: ignore[arg-type]


def test_what_failed_is_no_result(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        made_once(Factory(tmp_path), "broken", lambda folder: 1 / 0)  # type: ignore[arg-type]
    assert not (tmp_path / "broken.done").exists()
