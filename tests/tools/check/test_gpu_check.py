"""The check for a machine with a GPU runs all its steps here, on a processor, and tells what it could not do."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tools.check.gpu_check import STEPS, Check, carry_out, small, summary

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_every_step_runs_on_a_processor(tmp_path: Path) -> None:
    result = carry_out(small(tmp_path), 480.0, tmp_path / "out.json")
    assert result["summary"]["failed"] == [] and result["summary"]["left_out"] == ["bench"]  # compares kernels of a GPU
    assert list(result["steps"]) == list(STEPS)
    written = json.loads((tmp_path / "out.json").read_text())
    told = written["summary"]
    for kind in ("gaussian", "radiance"):
        assert told["fps"][kind] > 0 and told["frame_ms"][kind] > 0 and told["fit_s"][kind] > 0
        assert told["parity"][kind] == {"largest": 0, "mean": 0.0} and told["waits"][kind] == 0
    assert told["fps"]["dub"] > 0 and told["parity"]["dub"]["largest"] == 0
    assert written["steps"]["live"]["frames"] > 20 and written["steps"]["batch"]["jobs"] == 4
    assert written["steps"]["eval"]["self_driven"]


def test_a_step_that_fails_stops_no_other_and_one_that_comes_too_late_says_so(tmp_path: Path) -> None:
    def fails(check: Check) -> dict:
        raise ValueError("no memory")

    steps = {"gaussian": fails, "dub": lambda check: {"fps": 3.0}}
    check = Check(tmp_path, tmp_path, "cpu")
    result = carry_out(check, 480.0, tmp_path / "out.json", steps)
    assert result["summary"]["failed"] == ["gaussian"] and result["summary"]["fps"]["dub"] == 3.0
    assert result["steps"]["gaussian"]["error"] == "ValueError: no memory"
    late = carry_out(check, 0.0, tmp_path / "late.json", steps)
    assert late["summary"]["left_out"] == ["gaussian", "dub"] and late["summary"]["failed"] == []
    assert json.loads((tmp_path / "late.json").read_text())["steps"]["dub"] == {"left out": "0 s were over"}


def test_a_summary_of_nothing_has_every_key() -> None:
    assert summary({})["fps"] == {"gaussian": None, "radiance": None, "dub": None}


def test_the_plan_is_in_the_help_and_fits_into_eight_minutes() -> None:
    told = subprocess.run(
        ["bash", "tools/gpu_check.sh", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    seconds = {}
    for line in told.stdout.splitlines():
        words = line.split()
        if words and words[0] in STEPS:
            seconds[words[0]] = int(words[1])
    assert list(seconds) == list(STEPS)
    assert sum(seconds.values()) <= 480


def test_without_a_dataset_it_says_what_it_wants(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tools.check.gpu_check",
        "--work",
        str(tmp_path),
        "--out",
        str(tmp_path / "o.json"),
    ]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 2 and "a dataset, or --dry-run" in told.stderr
