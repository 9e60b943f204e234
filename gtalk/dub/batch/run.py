"""Many dubs: each whole or absent, one's failure no other's, a killed run resumed."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from gtalk.dub.batch.capacity import cores_here, default_workers_per_gpu, draws_on_gpu
from gtalk.dub.batch.cluster import RayEngine
from gtalk.dub.batch.engine import run_tasks
from gtalk.dub.batch.jobs import Job, by_avatar, read_jobs
from gtalk.dub.batch.journal import DONE, STARTED, Journal
from gtalk.dub.batch.processes import ProcessEngine
from gtalk.dub.batch.scheduler import Event, Scheduler
from gtalk.dub.batch.worker import Load
from gtalk.errors import UserError
from gtalk.progress import OnProgress, Progress, silent
from gtalk.talk import load_character

SPLIT_S = 600.0  # an hour is worth sharing, ten minutes are not
_ENGINES = {"local": ProcessEngine, "ray": RayEngine}


@dataclass(frozen=True)
class JobResult:
    """What became of a job."""

    line: int
    output: str
    state: Literal["done", "kept", "failed"]
    """kept: an earlier run had finished it."""
    error: str = ""
    detail: str = ""
    n_frames: int = 0
    n_samples: int = 0
    duration_s: float = 0.0
    wall_s: float = 0.0
    encode_s: float = 0.0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class BatchResult:
    """What became of all jobs, in the order of the file."""

    jobs: tuple[JobResult, ...]
    wall_s: float

    @property
    def n_failed(self) -> int:
        """How many jobs did not succeed."""
        return sum(job.state == "failed" for job in self.jobs)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        counts = {state: sum(job.state == state for job in self.jobs) for state in ("done", "kept", "failed")}
        return {**counts, "wall_s": round(self.wall_s, 3), "jobs": [asdict(job) for job in self.jobs]}

    def table(self) -> str:
        """A line a job and a summary, as text."""
        width = max(len("output"), *(len(job.output) for job in self.jobs))
        rows = [f"{'line':>5}  {'output':<{width}}  {'state':<6}  {'video':>8}  {'time':>8}  {'speed':>6}"]
        for job in self.jobs:
            speed = f"{job.duration_s / job.wall_s:5.1f}x" if job.wall_s else ""
            name = f"{job.line:>5}  {job.output:<{width}}  {job.state:<6}"
            rows.append(f"{name}  {job.duration_s:7.1f}s  {job.wall_s:7.1f}s  {speed:>6}".rstrip())
            rows += [f"       {text}" for text in ([job.error] if job.error else []) + list(job.warnings)]
        made = [job for job in self.jobs if job.state == "done"]
        video_s = sum(job.duration_s for job in made)
        rows.append(
            f"{len(made)} done, {sum(job.state == 'kept' for job in self.jobs)} kept, {self.n_failed} failed; "
            f"{video_s:.1f} s of video in {self.wall_s:.1f} s ({video_s / max(self.wall_s, 1e-9):.1f}x real time)"
        )
        return "\n".join(rows)


def run_batch(
    jobs_path: Path,
    engine: Literal["local", "ray"] = "local",
    workers: int | None = None,
    resume: bool = True,
    on_progress: OnProgress = silent,
    *,
    workers_per_gpu: int | None = None,
    split_s: float = SPLIT_S,
    load: Load = load_character,
) -> BatchResult:
    """Do the jobs of a JSONL file (see gtalk.dub.batch.jobs).

    Args:
        engine: "local" for processes on this machine, "ray" for a cluster.
        workers: tasks at a time; by default one a core, of this machine or of the cluster; `workers_per_gpu` for
            each GPU of this machine where all jobs are drawn on GPUs.
        workers_per_gpu: tasks that share a GPU; by default as many as it has cores and memory for, since drawing
            is the smaller part of a dub. On a cluster a task asks for its fraction of a GPU.
        resume: keep what the journal beside the jobs file says is done; otherwise begin anew.
        split_s: speech longer than 1.5 times this is drawn in parts of about this length, cut at silences, by
            several workers, and joined; 0 keeps every job whole.

    Raises UserError before anything is rendered when a line is wrong. A job that fails later is recorded
    in the result and the journal, and is tried again by the next run.
    """
    jobs_path = Path(jobs_path)
    if workers is not None and workers < 1:
        raise UserError(
            "workers", expected="a whole number from 1", got=str(workers), remedy="Use the number of cores."
        )
    if workers_per_gpu is not None and workers_per_gpu < 1:
        raise UserError("workers_per_gpu", expected="a whole number from 1", got=str(workers_per_gpu),
                        remedy="Leave it out, or use 4.")  # fmt: skip
    if not jobs_path.is_file():
        raise UserError(
            f"jobs file {jobs_path}", expected="an existing file", got="nothing there", remedy="Check the path."
        )
    start_s = time.perf_counter()
    journal = Journal(jobs_path, resume)
    try:
        jobs = read_jobs(jobs_path, journal.started)
        results = {job.line: kept for job in jobs if (kept := _finished(job, journal))}
        todo = [job for job in by_avatar(jobs) if job.line not in results]
        shared = workers_per_gpu or default_workers_per_gpu()
        if workers is None and engine == "local":
            on_gpus = torch.cuda.device_count() if all(draws_on_gpu(job.config.device) for job in todo) else 0
            workers = on_gpus * shared or cores_here()
        agenda, begun = Scheduler(todo, split_s), set()
        monitor = _Monitor(len(jobs), len(results), on_progress)
        for event in run_tasks(agenda, _ENGINES[engine](workers, load, shared)) if todo else ():
            job = event.task.job
            if event.kind == "started" and job.line not in begun:
                begun.add(job.line)
                journal.write(job.key, STARTED)
            if (end := agenda.see(event)) is not None:
                journal.write(job.key, end.kind, **end.facts)
                results[job.line] = _result(job, end.kind, end.facts)
            monitor.see(event, agenda.n_frames(event.task), end is not None)
        return BatchResult(tuple(results[job.line] for job in jobs), time.perf_counter() - start_s)
    finally:
        journal.close()


def _finished(job: Job, journal: Journal) -> JobResult | None:
    """The result of a job that needs no work, or None.

    A run that was killed between putting the output in place and writing so has left a whole output of
    a job that was only started. That counts, unless there was an older output of this name to replace.
    """
    record = journal.last.get(job.key)
    if record is None or not job.output.exists():
        return None
    if record["state"] == DONE or (record["state"] == STARTED and not job.config.overwrite):
        return _result(job, "kept", {k: v for k, v in record.items() if k not in ("job", "state")})
    return None


def _result(job: Job, state: str, facts: dict[str, Any]) -> JobResult:
    """Facts come from a journal that another version may have written: what is not known here is left out."""
    known = {name: facts[name] for name in ("error", "detail") if isinstance(facts.get(name), str)}
    known |= {name: facts[name] for name in ("n_frames", "n_samples") if type(facts.get(name)) is int}
    times = ("duration_s", "wall_s", "encode_s")
    known |= {name: float(facts[name]) for name in times if type(facts.get(name)) in (int, float)}
    warnings = facts.get("warnings")
    told = tuple(str(text) for text in warnings) if isinstance(warnings, list | tuple) else ()
    return JobResult(job.line, str(job.output), state, **known, warnings=told)  # type: ignore[arg-type]


class _Monitor:
    """Turns events into progress: jobs done, and how far each is that is under way."""

    def __init__(self, total: int, done: int, on_progress: OnProgress) -> None:
        self._total, self._done, self._report = total, done, on_progress
        self._notes: dict[int, str] = {}
        self._frames: dict[int, dict[tuple[str, int], int]] = {}  # drawn, of every task of a job
        on_progress(Progress("batch", done, total))

    def see(self, event: Event, n_frames: int | None, ended: bool) -> None:
        """One more event. `n_frames` is the whole job's, where it is known."""
        task, line = event.task, event.task.job.line
        tasks = self._frames.setdefault(line, {})
        if ended:
            self._done += 1
            self._notes.pop(line, None)
        elif event.kind == "progress":
            tasks[task.step, task.part] = event.facts["done"]
            total = n_frames or event.facts["total"]
            drawn = sum(count for (step, _), count in tasks.items() if step == task.step)
            what = {"listen": " listening", "join": " joining"}.get(task.step, "")
            if total:
                self._notes[line] = f"line {line}:{what} {100 * min(drawn, total) // total} %"
        elif event.kind == "started":
            self._notes.setdefault(line, f"line {line}")
        self._report(Progress("batch", self._done, self._total, ", ".join(self._notes.values())))
