"""Evaluations side by side, and what they were measured on."""

import json
import sys

from tools.bench import machine
from tools.make import eval_table


def test_rows_of_several_files_and_their_spread(tmp_path, monkeypatch, capsys) -> None:
    for name, psnr, ratio in (("a", 30.0, 0.5), ("b", 33.0, None)):
        content = {"self_driven": {"full": {"psnr": psnr}}, "audio_driven": {"lmd_ratio": ratio}, "note": "words"}
        (tmp_path / name).mkdir()
        (tmp_path / name / "eval.json").write_text(json.dumps(content))
    files = [str(tmp_path / name / "eval.json") for name in "ab"]
    monkeypatch.setattr(sys, "argv", ["eval_table.py", *files])
    eval_table.main()
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["a", "b", "mean", "lowest..highest"]
    assert rows[1] == ["self_driven.full.psnr", "30.000", "33.000", "31.500", "30.000..33.000"]
    assert rows[2] == ["audio_driven.lmd_ratio", "0.500", "-", "0.500", "0.500..0.500"]
    assert len(rows) == 3


def test_the_machine_is_told_with_versions() -> None:
    known = machine.facts()
    assert known["torch"] != "absent" and isinstance(known["cores"], int) and known["cores"] >= 1
    assert str(known["commit"]) in machine.line() and str(known["torch"]) in machine.line()
