import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from gtalk.errors import UserError
from gtalk.files import atomic_path
from gtalk.prepare.stages import Job, Pipeline, Stage


@dataclass(frozen=True)
class Config:
    a: int = 1
    b: int = 1


def make(
    root: Path, config: Config, ran: list[str], die_in: str | None = None, versions: dict | None = None
) -> Pipeline:
    def stage(name: str, needs: tuple[str, ...], setting: str | None) -> Stage:
        def run(job: Job) -> dict:
            ran.append(name)
            text = "".join((job.root / f"{need}.txt").read_text() for need in needs)
            value = getattr(job.config, setting) if setting else 0
            with atomic_path(job.root / f"{name}.txt") as temporary:
                temporary.write_text(f"{text}{name}{value};")
                if name == die_in:
                    os.kill(os.getpid(), signal.SIGKILL)
            return {"length": len(text)}

        settings = (lambda c: [getattr(c, setting)]) if setting else (lambda c: [])
        return Stage(name, (versions or {}).get(name, 1), needs, (f"{name}.txt",), settings, run)

    stages = [
        stage("one", (), "a"),
        stage("two", ("one",), "b"),
        stage("three", ("one",), None),
        stage("four", ("two", "three"), None),
    ]
    root.mkdir(exist_ok=True)
    return Pipeline(stages, Job(root, [], config), {"clip": "hash"})


def test_what_is_done_is_not_done_again_and_what_changed_is(tmp_path: Path) -> None:
    ran: list[str] = []
    first = make(tmp_path, Config(), ran).run()
    assert ran == ["one", "two", "three", "four"]
    assert first["four"]["facts"] == {"length": len("one1;two1;one1;three0;")}
    assert first["one"]["seconds"] >= 0
    assert first["one"]["processor_seconds"] >= 0
    ran.clear()
    assert make(tmp_path, Config(), ran).run() == first
    assert ran == []
    make(tmp_path, Config(b=2), ran).run()
    assert ran == ["two", "four"]
    ran.clear()
    make(tmp_path, Config(b=2), ran, versions={"three": 2}).run()
    assert ran == ["three", "four"]
    ran.clear()
    (tmp_path / "two.txt").unlink()
    make(tmp_path, Config(b=2), ran, versions={"three": 2}).run()
    assert ran == ["two"]


def test_a_stage_can_be_asked_for(tmp_path: Path) -> None:
    ran: list[str] = []
    make(tmp_path, Config(), ran).run()
    ran.clear()
    make(tmp_path, Config(), ran).run("three")
    assert ran == ["three", "four"]
    with pytest.raises(UserError, match="one, two, three, four"):
        make(tmp_path, Config(), ran).run("five")


def test_damaged_state_means_starting_over(tmp_path: Path) -> None:
    ran: list[str] = []
    make(tmp_path, Config(), ran).run()
    (tmp_path / "prepare.json").write_text("{")
    ran.clear()
    make(tmp_path, Config(), ran).run()
    assert ran == ["one", "two", "three", "four"]


@pytest.mark.parametrize("stage", ["one", "two", "four"])
def test_killed_and_run_again_equals_uninterrupted(stage: str, tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; from tests.prepare.test_stages import Config, make;"
        f"make(Path({str(tmp_path / 'killed')!r}), Config(), [], die_in={stage!r}).run()"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / f"{stage}.txt").exists()
    assert len(list((tmp_path / "killed").glob(".*.part*"))) == 1
    ran: list[str] = []
    make(tmp_path / "killed", Config(), ran).run()
    assert ran[0] == stage
    make(tmp_path / "whole", Config(), []).run()
    for name in ("one", "two", "three", "four"):
        assert (tmp_path / "killed" / f"{name}.txt").read_text() == (tmp_path / "whole" / f"{name}.txt").read_text()
    assert list((tmp_path / "killed").glob(".*.part*")) == []
