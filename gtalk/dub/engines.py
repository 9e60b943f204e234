"""Who does the jobs of a batch: processes of this machine, or a Ray cluster. Both tell the same events.

A worker keeps the avatar it loaded last, and jobs come ordered by avatar. Workers that die take one
job with them: it is tried again, twice at most.
"""

from __future__ import annotations

import logging
import multiprocessing as mp
import os
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Literal

import torch

from gtalk.dub.export import DubResult, render_dub
from gtalk.dub.jobs import Job
from gtalk.dub.outputs import sweep
from gtalk.errors import UserError
from gtalk.progress import Progress
from gtalk.talk import Performer

Load = Callable[[Path], Performer]
ATTEMPTS = 3  # of a job whose worker died, the first included


@dataclass(frozen=True)
class Event:
    """A change of one job's state."""

    job: Job
    kind: Literal["started", "progress", "done", "failed"]
    facts: dict[str, Any] = field(default_factory=dict)
    """progress: done, total. done: n_frames, n_samples, duration_s, wall_s, warnings. failed: error, detail."""


class _ParentDied(BaseException):
    """Nobody waits for the result any more."""


class Bench:
    """A worker's place: the avatar it has loaded, and the doing of one job."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._loaded: tuple[Path, Performer] | None = None

    def do(self, job: Job, on_progress: Callable[[Progress], None]) -> tuple[str, dict[str, Any]]:
        """("done" | "failed", facts). Whatever goes wrong with the job is a fact, not an exception."""
        try:
            sweep(job.output)
            if self._loaded is None or self._loaded[0] != job.avatar:
                self._loaded = None  # two avatars need not fit into memory
                self._loaded = (job.avatar, self._load(job.avatar))
            return "done", _facts(render_dub(self._loaded[1], job.source, job.output, job.config, on_progress))
        except UserError as error:
            return "failed", {"error": str(error), "detail": ""}
        except Exception as error:
            return "failed", {"error": f"{type(error).__name__}: {error}", "detail": traceback.format_exc()}


def run_local(jobs: Sequence[Job], workers: int, load: Load) -> Iterator[Event]:
    """Do the jobs in `workers` processes of this machine."""
    waiting = deque((job, 1) for job in jobs)
    threads = max(1, (os.cpu_count() or 1) // workers)
    crew = [_Process(load, threads) for _ in range(min(workers, len(jobs)))]
    try:
        while waiting or any(one.busy for one in crew):
            for one in crew:
                if one.busy is None and waiting:
                    job, attempt = waiting.popleft()
                    yield Event(job, "started")  # on record before there can be an output
                    one.give(job, attempt)
            ready = wait([one.ours for one in crew if one.busy])
            for one in crew:
                if one.busy is None or one.ours not in ready:
                    continue
                job, attempt = one.busy
                try:
                    kind, facts = one.ours.recv()
                except (EOFError, ConnectionResetError):
                    code = one.replace()
                    if attempt < ATTEMPTS:
                        waiting.appendleft((job, attempt + 1))
                    else:
                        error = f"its worker died {ATTEMPTS} times, last with exit status {code}"
                        yield Event(job, "failed", {"error": error, "detail": ""})
                    continue
                if kind != "progress":
                    one.busy = None
                yield Event(job, kind, facts)
    finally:
        for one in crew:
            one.stop()


class _Process:
    """A worker process and our end of the pipe to it."""

    def __init__(self, load: Load, threads: int) -> None:
        self._load, self._threads = load, threads
        self.busy: tuple[Job, int] | None = None
        self._start()

    def _start(self) -> None:
        # Spawned, not forked: a fork copies locks that torch's threads may hold.
        context = mp.get_context("spawn")
        self.ours, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, self._load, self._threads), daemon=True)
        self.process.start()
        theirs.close()

    def give(self, job: Job, attempt: int) -> None:
        self.busy = (job, attempt)
        with suppress(BrokenPipeError, ConnectionResetError):  # died idle: the loop sees the end of its pipe
            self.ours.send(job)

    def replace(self) -> int | None:
        """A new process for one that died; the exit status of the old one."""
        self.process.join()
        code = self.process.exitcode
        self.ours.close()
        self.busy = None
        self._start()
        return code

    def stop(self) -> None:
        self.ours.close()  # an idle worker reads the end of its pipe and leaves
        if self.busy:
            self.process.terminate()
        self.process.join(timeout=10)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _work(pipe: Connection, load: Load, threads: int) -> None:
    torch.set_num_threads(threads)
    bench = Bench(load)

    def tell(progress: Progress) -> None:
        try:
            pipe.send(("progress", {"done": progress.done, "total": progress.total}))
        except (BrokenPipeError, ConnectionResetError) as error:
            raise _ParentDied from error

    try:
        while True:
            pipe.send(bench.do(pipe.recv(), tell))
    except (EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt, _ParentDied):
        return


def run_ray(jobs: Sequence[Job], workers: int, load: Load) -> Iterator[Event]:
    """Do the jobs on a Ray cluster: the one at $RAY_ADDRESS, or one that is started on this machine.

    All nodes must see the files under the same paths. A job whose node is lost is done again elsewhere.
    """
    try:
        import ray
        from ray.exceptions import RayError
    except ImportError as error:
        raise UserError("engine", expected="the package ray", got="none installed",
                        remedy="Run `pip install gtalk[cluster]`.") from error  # fmt: skip
    ours = not ray.is_initialized()
    if ours:
        at_hand = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": workers, "include_dashboard": False}
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **at_hand)
    task = ray.remote(num_cpus=1, max_retries=ATTEMPTS - 1)(_remote)
    running: dict[Any, Job] = {}
    waiting = deque(jobs)
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                job = waiting.popleft()
                running[task.remote(job, load)] = job
                yield Event(job, "started")
            for reference in ray.wait(list(running), num_returns=1)[0]:
                job = running.pop(reference)
                try:
                    kind, facts = ray.get(reference)
                except RayError as error:
                    kind, facts = "failed", {"error": f"{type(error).__name__}: {error}", "detail": ""}
                yield Event(job, kind, facts)
    finally:
        for reference in running:
            ray.cancel(reference, force=True)
        if ours:
            ray.shutdown()


_benches: dict[Load, Bench] = {}  # Ray reuses its processes: what one task loaded serves the next


def _remote(job: Job, load: Load) -> tuple[str, dict[str, Any]]:
    torch.set_num_threads(1)
    return _benches.setdefault(load, Bench(load)).do(job, lambda progress: None)


def _facts(result: DubResult) -> dict[str, Any]:
    return {
        "n_frames": result.n_frames, "n_samples": result.n_samples, "duration_s": round(result.duration_s, 3),
        "wall_s": round(result.wall_s, 3), "encode_s": round(result.encode_s, 3), "warnings": list(result.warnings),
    }  # fmt: skip
