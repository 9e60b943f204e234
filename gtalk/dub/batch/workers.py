"""Who does the tasks of a batch: processes of this machine, or a Ray cluster. Both tell the same events.

A worker keeps the avatar it loaded last, and tasks come ordered by avatar. Workers that die take one
task with them: it is tried again, twice at most. So do workers that hang: each gives signs of life.
"""

from __future__ import annotations

import logging
import multiprocessing as mp
import os
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import takewhile
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch

from gtalk.compute.threads import compute_on
from gtalk.dub.batch.chunks import draw_part, join_parts, listen, parts_folder
from gtalk.dub.batch.scheduler import Event, Scheduler, Task
from gtalk.dub.outputs import sweep
from gtalk.dub.render import DubResult, render_dub
from gtalk.errors import UserError
from gtalk.progress import OnProgress, Progress
from gtalk.talk import Character

Load = Callable[[Path], Character]
ATTEMPTS = 3  # of a task whose worker died, the first included
_WORKER_GB = 3.0  # of a GPU's memory: its context, an avatar, the images of a batch
HUNG_S = 300.0
"""A worker that gives no sign of life for so long is ended, as if it had died."""
_BEAT_S, _LOOK_S = 5.0, 5.0  # between signs of life; between looks for them
_ALIVE = "alive"
_POLL_S = 0.5  # how often a cluster is asked for its progress


class _ParentDied(BaseException):
    """Nobody waits for the result any more."""


class Worker:
    """A worker's place: the avatar it has loaded, and the doing of one task."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._loaded: tuple[tuple[Path, str], Character] | None = None

    def do(self, task: Task, on_progress: OnProgress) -> tuple[str, dict[str, Any]]:
        """("done" | "failed", facts). Whatever goes wrong with the task is a fact, not an exception."""
        try:
            return "done", self._facts(task, on_progress)
        except UserError as error:
            return "failed", {"error": str(error), "detail": ""}
        except Exception as error:
            return "failed", {"error": f"{type(error).__name__}: {error}", "detail": traceback.format_exc()}

    def _facts(self, task: Task, on_progress: OnProgress) -> dict[str, Any]:
        job, character = task.job, self._character(task.job.avatar, task.job.config.device)
        folder = parts_folder(job.output, job.key)
        if task.step == "listen":
            parts = listen(character, job.source, job.config, folder, task.split_s, on_progress)
            return {"part_frames": parts}
        if task.step == "draw":
            result = draw_part(character, folder, task.part, job.output, job.config, on_progress)
            return {} if result is None else _facts(result)
        sweep(job.output)
        if task.step == "join":
            return join_parts(character.identity, job.source, job.output, job.config, folder, task.part, on_progress)
        return _facts(render_dub(character, job.source, job.output, job.config, on_progress))

    def _character(self, avatar: Path, device: str) -> Character:
        if self._loaded is None or self._loaded[0] != (avatar, device):
            self._loaded = None  # two avatars need not fit into memory
            # A worker sees one GPU: which, was settled before it began.
            self._loaded = ((avatar, device), self._load(avatar).to(device))
        return self._loaded[1]


def cores_here() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpu_of(number: int, visible: str | None, count: int) -> str | None:
    """The one GPU that worker `number` sees, as CUDA_VISIBLE_DEVICES names it; None where there is none.

    Args:
        visible: CUDA_VISIBLE_DEVICES of this process; None where it is not set.
        count: GPUs of the machine, where it is not.
    """
    names = [str(i) for i in range(count)] if visible is None else [name.strip() for name in visible.split(",")]
    # CUDA stops reading at the first name that is none.
    usable = list(takewhile(lambda name: name not in ("", "-1"), names))
    return usable[number % len(usable)] if usable else None


def draws_on_gpu(device: str) -> bool:
    """Whether a job of this device is drawn on a GPU of this machine."""
    return device == "cuda" or (device == "auto" and torch.cuda.is_available())


def default_workers_per_gpu() -> int:
    """Workers that share a GPU of this machine: each needs a core for sound and encoder, and its memory of the GPU."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        return 1
    memory_gb = min(torch.cuda.get_device_properties(i).total_memory for i in range(count)) / 1e9
    return workers_for(cores_here(), count, memory_gb)


def workers_for(cores: int, gpus: int, memory_gb: float) -> int:
    """How many workers a GPU of this size takes on a machine of so many cores; at least one."""
    return max(1, min(cores // gpus, int(memory_gb * 0.8 / _WORKER_GB)))


def run_local(agenda: Scheduler, workers: int, load: Load, workers_per_gpu: int = 1) -> Iterator[Event]:
    """Do the tasks in `workers` processes of this machine, each with its share of the cores, on the GPUs in turn.

    `workers` counts those that share a GPU, so that `workers_per_gpu` says nothing new.
    """
    del workers_per_gpu
    threads = max(1, cores_here() // workers)
    attempts: Counter[Task] = Counter()
    crew: list[_Process] = []
    try:
        while len(agenda) or any(one.busy for one in crew):
            for _ in range(workers):
                if not len(agenda) or not (free := _free(crew, workers, load, threads)):
                    break
                task = agenda.next()
                attempts[task] += 1
                yield Event(task, "started")  # on record before there can be an output
                free.give(task)
            ready = wait([one.ours for one in crew if one.busy], timeout=_LOOK_S)
            for one in crew:
                if one.busy and one.ours not in ready and one.silent_s > HUNG_S:
                    one.process.kill()  # the end of its pipe tells the rest
            for one in crew:
                if one.busy is None or one.ours not in ready:
                    continue
                task = one.busy
                try:
                    one.heard()
                    kind, facts = one.ours.recv()
                    if kind == _ALIVE:
                        continue
                except (EOFError, ConnectionResetError):
                    code = one.replace()
                    if attempts[task] < ATTEMPTS:
                        agenda.again(task)
                    else:
                        error = f"its worker died {ATTEMPTS} times, last with exit status {code}"
                        yield Event(task, "failed", {"error": error, "detail": ""})
                    continue
                if kind != "progress":
                    one.busy = None
                yield Event(task, kind, facts)
    finally:
        for one in crew:
            one.stop()


def _free(crew: list[_Process], workers: int, load: Load, threads: int) -> _Process | None:
    """An idle worker, a new one if there is room for it, or None."""
    for one in crew:
        if one.busy is None:
            return one
    if len(crew) < workers:
        gpu = gpu_of(len(crew), os.environ.get("CUDA_VISIBLE_DEVICES"), torch.cuda.device_count())
        crew.append(_Process(load, threads, gpu))
        return crew[-1]
    return None


class _Process:
    """A worker process and our end of the pipe to it."""

    def __init__(self, load: Load, threads: int, gpu: str | None) -> None:
        self._args = (load, threads, gpu)
        self.busy: Task | None = None
        self._start()

    def _start(self) -> None:
        self._heard_s = time.monotonic()
        # Spawned, not forked: a fork copies locks that torch's threads may hold.
        context = mp.get_context("spawn")
        self.ours, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, *self._args), daemon=True)
        self.process.start()
        theirs.close()

    @property
    def silent_s(self) -> float:
        """How long nothing came from it."""
        return time.monotonic() - self._heard_s

    def heard(self) -> None:
        """Something comes from it."""
        self._heard_s = time.monotonic()

    def give(self, task: Task) -> None:
        self.busy = task
        self.heard()
        with suppress(BrokenPipeError, ConnectionResetError):  # died idle: the loop sees the end of its pipe
            self.ours.send(task)

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


def _work(pipe: Connection, load: Load, threads: int, gpu: str | None) -> None:
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu  # read when CUDA is first used, which is later
    compute_on(threads)
    bench, speaking = Worker(load), threading.Lock()

    def beat() -> None:
        with suppress(OSError):
            while True:
                time.sleep(_BEAT_S)
                with speaking:
                    pipe.send((_ALIVE, {}))

    def tell(progress: Progress) -> None:
        try:
            with speaking:
                pipe.send(("progress", {"done": progress.done, "total": progress.total}))
        except (BrokenPipeError, ConnectionResetError) as error:
            raise _ParentDied from error

    threading.Thread(target=beat, name="gtalk-alive", daemon=True).start()
    try:
        while True:
            done = bench.do(pipe.recv(), tell)
            with speaking:
                pipe.send(done)
    except (EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt, _ParentDied):
        return


def run_ray(agenda: Scheduler, workers: int | None, load: Load, workers_per_gpu: int = 1) -> Iterator[Event]:
    """Do the tasks on a Ray cluster: the one at $RAY_ADDRESS, or one that is started on this machine.

    All nodes must see the files under the same paths. A task whose node is lost is done again elsewhere.
    Raises UserError without the package ray.
    """
    try:
        import ray
        from ray.exceptions import RayError
    except ImportError as error:
        raise UserError("engine", expected="the package ray", got="none installed",
                        remedy="Run `pip install gtalk[cluster]`.") from error  # fmt: skip
    ours = not ray.is_initialized()
    if ours:
        at_hand = {"num_cpus": workers, "include_dashboard": False} if not os.environ.get("RAY_ADDRESS") else {}
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **at_hand)
    # Retries are ours: a lost task has to be told, and a part that is done needs no second doing.
    do = ray.remote(num_cpus=1, max_retries=0)(_remote)
    board = _board(ray)
    attempts: Counter[Task] = Counter()
    running: dict[Any, Task] = {}
    try:
        while len(agenda) or running:
            room = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
            while len(agenda) and len(running) < room:
                task = agenda.next()
                attempts[task] += 1
                yield Event(task, "started")
                # Ray shows a task only the GPU that it was given a part of.
                needs = {"num_gpus": 1 / workers_per_gpu} if task.job.config.device == "cuda" else {}
                running[do.options(**needs).remote(task, load, board)] = task
            for reference in ray.wait(list(running), num_returns=1, timeout=_POLL_S)[0]:
                task = running.pop(reference)
                try:
                    kind, facts = ray.get(reference)
                except RayError as error:
                    if attempts[task] < ATTEMPTS:
                        agenda.again(task)
                        continue
                    kind, facts = "failed", {"error": f"{type(error).__name__}: {error}", "detail": ""}
                yield Event(task, kind, facts)
            for task, facts in ray.get(board.take.remote()):
                if task in running.values():
                    yield Event(task, "progress", facts)
    finally:
        for reference in running:
            ray.cancel(reference, force=True)
        ray.kill(board)
        if ours:
            ray.shutdown()


class _Board:
    """Where the workers of a cluster write how far they are."""

    def __init__(self) -> None:
        self._last: dict[Task, dict[str, Any]] = {}

    def put(self, task: Task, facts: dict[str, Any]) -> None:
        """The latest progress of a task."""
        self._last[task] = facts

    def take(self) -> list[tuple[Task, dict[str, Any]]]:
        """What came in since the last time."""
        taken, self._last = list(self._last.items()), {}
        return taken


def _board(ray: Any) -> Any:
    """A board on the node that drives the batch: losing another one does not lose it."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0)(_Board).options(scheduling_strategy=here).remote()


_benches: dict[Load, Worker] = {}  # Ray reuses its processes: what one task loaded serves the next


def _remote(task: Task, load: Load, board: Any) -> tuple[str, dict[str, Any]]:
    compute_on(1)

    def tell(progress: Progress) -> None:
        board.put.remote(task, {"done": progress.done, "total": progress.total})

    return _benches.setdefault(load, Worker(load)).do(task, tell)


def _facts(result: DubResult) -> dict[str, Any]:
    return {
        "n_frames": result.n_frames, "n_samples": result.n_samples, "duration_s": round(result.duration_s, 3),
        "wall_s": round(result.wall_s, 3), "encode_s": round(result.encode_s, 3), "warnings": list(result.warnings),
    }  # fmt: skip
