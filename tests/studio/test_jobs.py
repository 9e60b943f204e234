"""Jobs are processes: one at a time, told as they go, and gone on with after whatever ends them."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gtalk.errors import UserError
from gtalk.studio import jobs as module
from gtalk.studio.jobs import Jobs

WORKER = """
import json, sys, time
from pathlib import Path
kind, place = sys.argv[1], Path(sys.argv[2])
tell = lambda event, **facts: print(json.dumps({"event": event, **facts}), flush=True)
place.mkdir(parents=True, exist_ok=True)
with open(place / "runs", "a") as file: file.write("run ")
tell("progress", stage="fit", done=1, total=4, note="")
print("a library's greeting, which is no event", flush=True)
tell("picture", step=300, jpeg="/9j/")
if kind == "fail":
    tell("error", what="clip", expected="a face", got="none", remedy="Show one.")
    sys.exit(2)
if kind == "crash": sys.exit("Segmentation fault, or so")
if kind == "busy" and not (place / "free").exists():
    (place / "free").touch()
    tell("error", what="output", expected="no other run that writes to it", got="one", remedy="Wait.")
    sys.exit(2)
if kind == "wait":
    while not (place / "go").exists(): time.sleep(0.02)
tell("say", text="avatar: done")
(place / "made").touch()
"""


@pytest.fixture
def make(tmp_path):
    (tmp_path / "worker.py").write_text(WORKER)
    made: list[Jobs] = []

    def start(on_done: Callable = lambda _job: None) -> Jobs:
        jobs = Jobs(tmp_path / ".jobs", on_done, (sys.executable, str(tmp_path / "worker.py")))
        jobs.start()
        made.append(jobs)
        return jobs

    yield start
    for jobs in made:
        jobs.stop()


def until(jobs: Jobs, number: int, *states: str) -> dict:
    for _ in range(1000):
        job = next(job for job in jobs.told() if job["number"] == number)
        if job["state"] in states:
            return job
        time.sleep(0.02)
    raise AssertionError(f"still {job['state']}: {job}")


def test_a_job_is_told_as_it_goes_and_one_waits_for_another(make, tmp_path) -> None:
    done: list[str] = []
    jobs = make(lambda job: done.append(job.avatar))
    first = jobs.add("train", "ada", ["wait", str(tmp_path / "a")], tmp_path / "a")
    second = jobs.add("dub", "bob", ["work", str(tmp_path / "b")], tmp_path / "b", "hello")
    assert jobs.add("dub", "bob", ["work", str(tmp_path / "b")], tmp_path / "b") is second, "not twice"
    while not (told := until(jobs, first.number, "running"))["picture"]:
        time.sleep(0.02)
    assert told["stage"] == "fit" and 0.4 < told["share"] < 0.95 and told["command"] == f"gtalk wait {tmp_path / 'a'}"
    assert jobs.picture(first.number) is not None and jobs.is_busy("bob")
    assert until(jobs, second.number, "waiting")
    (tmp_path / "a" / "go").touch()
    assert until(jobs, first.number, "done")["said"] == ["avatar: done"]
    assert until(jobs, second.number, "done")["label"] == "hello"
    assert done == ["ada", "bob"] and not jobs.is_busy("ada")


def test_a_stopped_server_goes_on_at_the_next_start(make, tmp_path) -> None:
    jobs = make()
    number = jobs.add("train", "ada", ["wait", str(tmp_path / "a")], tmp_path / "a").number
    until(jobs, number, "running")
    while not (tmp_path / "a" / "runs").exists():
        time.sleep(0.02)
    jobs.stop()
    assert json.loads((tmp_path / ".jobs" / f"{number:04d}.json").read_text())["state"] == "waiting"
    (tmp_path / "a" / "go").touch()
    assert until(make(), number, "done")
    assert (tmp_path / "a" / "runs").read_text() == "run run "


def test_a_killed_server_leaves_a_job_that_runs_again(make, tmp_path) -> None:
    jobs = make()
    number = jobs.add("train", "ada", ["work", str(tmp_path / "a")], tmp_path / "a").number
    until(jobs, number, "done")
    path = tmp_path / ".jobs" / f"{number:04d}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"state": "running"}))  # as a kill leaves it
    assert until(make(), number, "done") and (tmp_path / "a" / "runs").read_text() == "run run "


def test_what_the_input_lacks_is_told_and_can_be_tried_again(make, tmp_path) -> None:
    jobs = make()
    number = jobs.add("train", "ada", ["fail", str(tmp_path / "a")], tmp_path / "a").number
    error = until(jobs, number, "failed")["error"]
    assert error["text"] == "clip: expected a face; got none. Show one."
    jobs.again(number)
    assert until(jobs, number, "failed")
    crash = jobs.add("train", "bob", ["crash", str(tmp_path / "b")], tmp_path / "b").number
    assert "status 1: Segmentation fault, or so" in until(jobs, crash, "failed")["error"]["text"]


def test_the_run_that_a_killed_server_left_behind_is_waited_for(make, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "_BUSY_S", 0.01)
    jobs = make()
    assert until(jobs, jobs.add("train", "ada", ["busy", str(tmp_path / "a")], tmp_path / "a").number, "done", "failed")
    assert (tmp_path / "a" / "made").exists()


def test_stop_again_and_forget(make, tmp_path) -> None:
    jobs = make()
    number = jobs.add("train", "ada", ["wait", str(tmp_path / "a")], tmp_path / "a").number
    waits = jobs.add("dub", "ada", ["work", str(tmp_path / "b")], tmp_path / "b").number
    until(jobs, number, "running")
    jobs.cancel(waits)
    jobs.cancel(number)
    assert until(jobs, number, "stopped") and until(jobs, waits, "stopped")
    (tmp_path / "a").mkdir(exist_ok=True)
    (tmp_path / "a" / "go").touch()
    time.sleep(0.1)
    jobs.again(number)
    until(jobs, number, "done")
    jobs.forget_avatar("ada")
    assert jobs.told() == [] and not list((tmp_path / ".jobs").iterdir())
    with pytest.raises(UserError):
        jobs.cancel(number)


def test_a_full_disk_fails_the_job_and_not_the_queue(make, tmp_path) -> None:
    jobs = make()
    real, jobs._write = jobs._write, lambda _job: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    with pytest.raises(OSError):
        jobs.add("train", "ada", ["work", str(tmp_path / "a")], tmp_path / "a")
    jobs._write = real
    assert until(jobs, jobs.add("train", "ada", ["work", str(tmp_path / "a")], tmp_path / "a").number, "done")


def test_old_jobs_are_forgotten(make, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "KEPT", 2)
    jobs = make()
    for name in "abcd":
        until(jobs, jobs.add("dub", name, ["fail", str(tmp_path / name)], Path(name)).number, "failed")
    assert len(jobs.told()) <= 3 and jobs.told()[0]["avatar"] == "d"
