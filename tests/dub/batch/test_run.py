"""Batches: all done, failures kept apart, kills survived, workers that die replaced, Ray the same."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from gtalk.dub.batch.capacity import gpu_of
from gtalk.dub.batch.journal import Journal
from gtalk.dub.batch.run import run_batch
from gtalk.errors import UserError
from gtalk.media.audio import write_wav
from gtalk.progress import Progress
from gtalk.types import AudioTrack
from tests.support.toys import load_toy_character, speech_like, write_toy_folder

ROOT = Path(__file__).parents[3]


def make_jobs(folder: Path, count: int, seconds: float = 0.2, **extra) -> Path:
    """`count` jobs that write PNG images, so that results can be compared exactly."""
    write_toy_folder(folder / "me", 32)
    lines = []
    for i in range(count):
        write_wav(folder / f"{i}.wav", AudioTrack(speech_like(seconds, seed=i)))
        lines.append(json.dumps({"avatar": "me", "audio": f"{i}.wav", "output": f"out/{i}", "seed": i, **extra}))
    (folder / "jobs.jsonl").write_text("\n".join(lines))
    return folder / "jobs.jsonl"


def images(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_two_workers_do_all_jobs_and_a_second_run_keeps_them(tmp_path):
    seen: list[Progress] = []
    path = make_jobs(tmp_path, 3)
    result = run_batch(path, "local", 2, True, seen.append, load=load_toy_character)
    assert [job.state for job in result.jobs] == ["done"] * 3 and result.n_failed == 0
    assert [job.n_frames for job in result.jobs] == [5] * 3
    assert seen[0].done == 0 and seen[-1].done == seen[-1].total == 3
    for i in range(3):
        assert len(list((tmp_path / f"out/{i}").glob("*.png"))) == 5
    before = images(tmp_path / "out")
    again = run_batch(path, "local", 2, load=load_toy_character)
    assert [job.state for job in again.jobs] == ["kept"] * 3 and again.jobs[1].n_frames == 5
    assert images(tmp_path / "out") == before
    (tmp_path / "out/1/000000.png").unlink()
    for left in (tmp_path / "out/1").iterdir():
        left.unlink()
    (tmp_path / "out/1").rmdir()
    third = run_batch(path, "local", 1, load=load_toy_character)
    assert [job.state for job in third.jobs] == ["kept", "done", "kept"]
    assert images(tmp_path / "out") == before


def test_one_bad_avatar_stops_no_other_job_and_is_tried_again(tmp_path):
    path = make_jobs(tmp_path, 2)
    write_toy_folder(tmp_path / "broken", 32, fail=True)
    path.write_text(
        path.read_text().replace('"avatar": "me", "audio": "0.wav"', '"avatar": "broken", "audio": "0.wav"')
    )
    result = run_batch(path, "local", 1, load=load_toy_character)
    assert [job.state for job in result.jobs] == ["failed", "done"] and result.n_failed == 1
    assert "broken on purpose" in result.jobs[0].error and "Traceback" in result.jobs[0].detail
    assert "broken on purpose" in result.table() and "1 done, 0 kept, 1 failed" in result.table()
    json.dumps(result.to_json())
    write_toy_folder(tmp_path / "broken", 32)
    assert [job.state for job in run_batch(path, "local", 1, load=load_toy_character).jobs] == ["done", "kept"]


def deadly_load(folder: Path):
    """Kills its process the first times that it is asked."""
    flag = Path(folder) / "deaths"
    deaths = int(flag.read_text())
    if deaths > 0:
        flag.write_text(str(deaths - 1))
        os.kill(os.getpid(), signal.SIGKILL)
    return load_toy_character(folder)


@pytest.mark.parametrize(("deaths", "states"), [(2, ["done"]), (99, ["failed"])])
def test_a_worker_that_dies_is_replaced_and_its_job_tried_again(tmp_path, deaths, states):
    path = make_jobs(tmp_path, 1)
    (tmp_path / "me/deaths").write_text(str(deaths))
    result = run_batch(path, "local", 1, load=deadly_load)
    assert [job.state for job in result.jobs] == states
    if states == ["failed"]:
        assert "died 3 times, last with exit status -9" in result.jobs[0].error


def load_and_tell_the_gpu(folder: Path):
    """Leaves a file that is named by what the worker sees."""
    (Path(folder) / f"gpu-{os.environ.get('CUDA_VISIBLE_DEVICES')}").touch()
    time.sleep(0.5)  # so that every worker gets a job
    return load_toy_character(folder)


def test_each_worker_sees_one_gpu(tmp_path, monkeypatch):
    assert [gpu_of(i, None, 2) for i in range(3)] == ["0", "1", "0"]
    assert [gpu_of(i, "5, GPU-abc,-1,7", 8) for i in range(3)] == ["5", "GPU-abc", "5"]
    assert gpu_of(0, None, 0) is None and gpu_of(0, "", 4) is None and gpu_of(1, "-1", 4) is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    result = run_batch(make_jobs(tmp_path, 4), "local", 2, load=load_and_tell_the_gpu)
    assert result.n_failed == 0
    assert sorted(path.name for path in (tmp_path / "me").glob("gpu-*")) == ["gpu-3", "gpu-5"]


RUN = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from gtalk.dub.batch.run import run_batch
from tests.support.toys import load_toy_character
if __name__ == "__main__":
    run_batch(Path({jobs!r}), "local", 2, load=load_toy_character)
"""


def test_kill_9_in_the_middle_then_resume_equals_an_uninterrupted_run(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    run_batch(make_jobs(one, 4, 2.0), "local", 2, load=load_toy_character)
    jobs = make_jobs(two, 4, 2.0)
    (tmp_path / "run.py").write_text(RUN.format(root=str(ROOT), jobs=str(jobs)))
    process = subprocess.Popen([sys.executable, str(tmp_path / "run.py")])
    journal = two / "jobs.jsonl.journal"
    deadline = time.monotonic() + 60
    while not (journal.exists() and '"started"' in journal.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.4)
    process.kill()
    process.wait()
    done = sum('"done"' in line for line in journal.read_text().splitlines())
    result = run_batch(jobs, "local", 2, load=load_toy_character)
    assert done < 4, "killed too late to test anything"
    assert result.n_failed == 0 and {job.state for job in result.jobs} <= {"done", "kept"}, result.jobs
    assert images(two / "out") == images(one / "out")
    assert sorted(p.name for p in (two / "out").iterdir()) == ["0", "1", "2", "3"], "nothing half-written is left"


def test_an_output_put_in_place_just_before_the_kill_is_kept(tmp_path):
    path = make_jobs(tmp_path, 1)
    run_batch(path, "local", 1, load=load_toy_character)
    journal = tmp_path / "jobs.jsonl.journal"
    lines = journal.read_text().splitlines()
    journal.write_text(lines[0] + "\n" + lines[1][: len(lines[1]) // 2])
    assert run_batch(path, "local", 1, load=load_toy_character).jobs[0].state == "kept"
    journal.write_text("")
    with pytest.raises(UserError, match="overwrite"):
        run_batch(path, "local", 1, load=load_toy_character)


def test_a_journal_of_another_version_is_read_as_far_as_it_is_known(tmp_path):
    path = make_jobs(tmp_path, 2)
    run_batch(path, "local", 1, load=load_toy_character)
    journal = tmp_path / "jobs.jsonl.journal"
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    for record in records:
        record |= {"gpu": 3, "line": 7, "n_frames": "five", "duration_s": 1, "warnings": None}
    broken = ["null", "[]", '{"state": "done"}', '{"job": [], "state": "done"}', '{"job": {}, "state": []}', "\x00{"]
    journal.write_text("\n".join([*broken, *(json.dumps(record) for record in records)]) + "\n")
    result = run_batch(path, "local", 1, load=load_toy_character)
    assert [(job.line, job.state, job.n_frames, job.duration_s, job.warnings) for job in result.jobs] == [
        (1, "kept", 0, 1.0, ()),
        (2, "kept", 0, 1.0, ()),
    ]
    assert "2 kept" in result.table()


def test_without_resume_everything_is_done_again(tmp_path):
    path = make_jobs(tmp_path, 1, overwrite=True)
    run_batch(path, "local", 1, load=load_toy_character)
    assert run_batch(path, "local", 1, load=load_toy_character).jobs[0].state == "kept"
    assert run_batch(path, "local", 1, False, load=load_toy_character).jobs[0].state == "done"


def test_two_runs_of_the_same_jobs_are_refused(tmp_path):
    path = make_jobs(tmp_path, 1)
    journal = Journal(path, True)
    with pytest.raises(UserError, match="running"):
        run_batch(path, "local", 1, load=load_toy_character)
    journal.close()


def test_a_full_disk_fails_its_job_alone_and_leaves_nothing_half_written(tmp_path):
    small = tmp_path / "out"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(small)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small disk is not allowed here")
    try:
        path = make_jobs(tmp_path, 3, 0.2)
        lines = path.read_text().splitlines()
        large = json.loads(lines[1]) | {"output": "out/large.mov", "height": 512}
        path.write_text("\n".join([lines[0], json.dumps(large), lines[2]]))
        result = run_batch(path, "local", 1, load=load_toy_character)
        assert [job.state for job in result.jobs] == ["done", "failed", "done"]
        assert "enough room on the disk" in result.jobs[1].error
        assert sorted(p.name for p in small.iterdir()) == ["0", "2"]
        path.write_text(path.read_text().replace('"height": 512', '"height": 32'))
        assert [job.state for job in run_batch(path, "local", 1, load=load_toy_character).jobs] == [
            "kept",
            "done",
            "kept",
        ]
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_wrong_arguments(tmp_path):
    with pytest.raises(UserError, match="workers"):
        run_batch(make_jobs(tmp_path, 1), "local", 0)
    with pytest.raises(UserError, match="nothing there"):
        run_batch(tmp_path / "none.jsonl")
    assert not (tmp_path / "none.jsonl.journal").exists()


@pytest.mark.slow
def test_ray_gives_the_same_images(tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="needs the optional package ray")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    run_batch(make_jobs(one, 2), "local", 1, load=load_toy_character)
    write_toy_folder(two / "broken", 32, fail=True)
    path = make_jobs(two, 3)
    path.write_text(
        path.read_text().replace('"avatar": "me", "audio": "2.wav"', '"avatar": "broken", "audio": "2.wav"')
    )
    result = run_batch(path, "ray", 2, load=load_toy_character)
    assert [job.state for job in result.jobs] == ["done", "done", "failed"]
    assert images(two / "out") == images(one / "out")


def test_images_of_a_batch_are_those_of_a_dub(tmp_path):
    from gtalk.dub.config import DubConfig
    from gtalk.dub.render import dub

    run_batch(make_jobs(tmp_path, 1), "local", 1, load=load_toy_character)
    dub(tmp_path / "me", tmp_path / "0.wav", tmp_path / "single", DubConfig(), load=load_toy_character)
    for i in range(5):
        first, second = (cv2.imread(str(tmp_path / f"{n}/{i:06d}.png")) for n in ("out/0", "single"))
        np.testing.assert_array_equal(first, second)
