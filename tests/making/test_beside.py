"""The lips learned beside the fit: what is told, what ends it, and what becomes of a process that dies."""

import io
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gtalk.errors import UserError
from gtalk.making import beside
from gtalk.progress import Progress

TOLD = {"stage": "motion", "done": 100, "total": 300, "note": ""}
ASKED = {"dataset": "data", "output": "me", "device": "cpu", "take": None}


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """What was learned in this process."""
    seen: list[tuple] = []

    def train_motion(datasets, output, *, on_progress, device, take):
        seen.append((datasets, output, device, take))
        on_progress(Progress(**TOLD))

    monkeypatch.setattr("gtalk.motion.training.train.train_motion", train_motion)
    return seen


def program(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr(beside, "PROGRAM", (sys.executable, "-c", script))
    monkeypatch.setattr(beside, "is_worthwhile", lambda _device: True)


def test_progress_of_the_other_process_comes_in_this_ones_thread(monkeypatch, learned) -> None:
    program(
        monkeypatch,
        f"import json; asked = json.loads(input()); print(json.dumps({TOLD} | {{'note': asked['output']}}))",
    )
    told: list[Progress] = []
    with beside.lips_beside(Path("data"), Path("me"), "cpu", None) as lips:
        end_s = time.monotonic() + 20
        while not told and time.monotonic() < end_s:
            lips.tell(told.append)
        lips.wait(told.append)
    assert told == [Progress("motion", 100, 300, "me")] and not learned


def test_what_is_wrong_with_the_input_is_raised_here(monkeypatch, learned) -> None:
    error = {"what": "clip", "expected": "speech", "got": "none", "remedy": "Speak."}
    program(monkeypatch, f"import json; input(); print(json.dumps({{'error': {error}}})); raise SystemExit(2)")
    with (
        pytest.raises(UserError, match=r"expected speech; got none\. Speak\."),
        beside.lips_beside(Path("data"), Path("me"), "cpu", None) as lips,
    ):
        lips.wait(lambda _progress: None)
    assert not learned


@pytest.mark.parametrize("script", ["import os; os.kill(os.getpid(), 9)", "raise SystemExit(1)"])
def test_what_a_killed_process_has_not_learned_is_learned_here(monkeypatch, learned, script: str) -> None:
    program(monkeypatch, script)
    told: list[Progress] = []
    with beside.lips_beside(Path("data"), Path("me"), "cpu", Path("take")) as lips:
        lips.wait(told.append)
    assert learned == [([Path("data")], Path("me"), "cpu", Path("take"))] and told == [Progress(**TOLD)]


def test_where_it_is_no_gain_they_are_learned_afterwards(monkeypatch, learned) -> None:
    monkeypatch.setattr(beside, "cores", lambda: 1)
    monkeypatch.setattr(beside, "PROGRAM", ("/nowhere",))
    with beside.lips_beside(Path("data"), Path("me"), "auto", None) as lips:
        assert not learned
        lips.wait(lambda _progress: None)
    assert len(learned) == 1


def test_a_fit_that_fails_ends_the_other_process(monkeypatch, learned) -> None:
    program(monkeypatch, "import time; time.sleep(60)")
    with pytest.raises(RuntimeError), beside.lips_beside(Path("data"), Path("me"), "cpu", None) as lips:
        raise RuntimeError
    assert lips._process is not None and lips._process.returncode == -9


def test_the_process_tells_what_train_motion_does(monkeypatch, learned) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(ASKED) + "\n"))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(beside.signal, "signal", lambda *_: None)
    monkeypatch.setattr(beside, "_end_with_stdin", lambda: None)
    assert beside.main() == 0
    assert json.loads(out.getvalue()) == TOLD and learned == [([Path("data")], Path("me"), "cpu", None)]


def test_the_process_ends_with_whoever_started_it(tmp_path: Path) -> None:
    process = subprocess.Popen(beside.PROGRAM, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    out, _ = process.communicate(
        json.dumps(ASKED | {"dataset": str(tmp_path), "output": str(tmp_path)}).encode() + b"\n"
    )
    assert process.returncode in {1, 2}  # 2 where it found no dataset before it saw that nobody listens
    assert not out or "error" in json.loads(out)
    assert beside.main.__module__ == beside.PROGRAM[2]
