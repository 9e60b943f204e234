"""Every row of the table of attacks is there to be run."""

import re
from pathlib import Path

import pytest

from tools.check.robustness import attacks
from tools.check.robustness.floods import packed, raw_frame

ROOT = Path(attacks.__file__).resolve().parents[3]


def test_rows_have_names_of_their_own_and_their_tests_exist() -> None:
    names = [name for name, *_ in attacks.ROWS]
    assert len(set(names)) == len(names) >= 36
    for _, _, _, check in attacks.ROWS:
        if isinstance(check, attacks.tested):
            found = re.findall(r"^def (test_\w+)", (ROOT / check.path).read_text(), re.MULTILINE)
            wanted = [part.strip() for part in check.which.split(" or ")]
            assert all(any(part in test for test in found) for part in wanted), check


def test_a_row_that_did_not_hold_is_told(monkeypatch, capsys) -> None:
    rows = [("a", "this", "that", lambda *_: (False, "went on")), ("b", "x", "y", lambda *_: (None, "not here"))]
    monkeypatch.setattr(attacks, "ROWS", rows)
    monkeypatch.setattr("sys.argv", ["attacks.py"])
    assert attacks.main() == 1
    assert "| this | that | BROKEN | went on |\n| x | y | not tried | not here |" in capsys.readouterr().out


@pytest.mark.parametrize(("frame", "size"), [(raw_frame(9, b"abc"), 9), (raw_frame(0, last=False), 6)])
def test_frames_are_those_of_clients(frame: bytes, size: int) -> None:
    assert len(frame) == size and frame[1] & 0x80, "masked"
    assert b"GuiUpdateMessage" in packed("GuiUpdateMessage", uuid="x")
