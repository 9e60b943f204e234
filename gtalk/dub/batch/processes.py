"""Workers as processes of this machine. One that hangs is ended: each gives signs of life."""

from __future__ import annotations

import multiprocessing as mp
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait

import torch

from gtalk.compute.threads import compute_on
from gtalk.dub.batch.capacity import cores_here, gpu_of
from gtalk.dub.batch.scheduler import Event, Task
from gtalk.dub.batch.worker import Load, Worker
from gtalk.progress import Progress

HUNG_S = 300.0
"""A worker that gives no sign of life for so long is ended, as if it had died."""
_BEAT_S, _LOOK_S = 5.0, 5.0  # between signs of life; between looks for them
_ALIVE = "alive"


class ProcessEngine:
    """`workers` processes, each with its share of the cores, on the GPUs in turn."""

    def __init__(self, workers: int, load: Load, workers_per_gpu: int = 1) -> None:
        """`workers` counts those that share a GPU, so that `workers_per_gpu` says nothing new."""
        del workers_per_gpu
        self._workers, self._load = workers, load
        self._crew: list[_Process] = []

    def has_room(self) -> bool:
        """See `Engine`."""
        return len(self._crew) < self._workers or any(one.busy is None for one in self._crew)

    def give(self, task: Task) -> None:
        """See `Engine`."""
        free = next((one for one in self._crew if one.busy is None), None)
        if free is None:
            gpu = gpu_of(len(self._crew), os.environ.get("CUDA_VISIBLE_DEVICES"), torch.cuda.device_count())
            free = _Process(self._load, max(1, cores_here() // self._workers), gpu)
            self._crew.append(free)
        free.give(task)

    def hear(self) -> Iterator[Event]:
        """See `Engine`."""
        ready = wait([one.ours for one in self._crew if one.busy], timeout=_LOOK_S)
        for one in self._crew:
            if one.busy and one.ours in ready:
                yield from one.hear(one.busy)
            elif one.busy and one.silent_s > HUNG_S:
                one.process.kill()  # the end of its pipe tells the rest

    def end(self, line: int) -> None:
        """End the workers of a job, which is told as lost. From any thread."""
        for one in self._crew:
            if one.busy and one.busy.job.line == line:
                one.process.kill()

    def close(self) -> None:
        """See `Engine`."""
        for one in self._crew:
            one.stop()


class _Process:
    """A worker process and our end of the pipe to it."""

    def __init__(self, load: Load, threads: int, gpu: str | None) -> None:
        self._args = (load, threads, gpu)
        self.busy: Task | None = None
        self._start()

    def _start(self) -> None:
        self._heard_s = time.monotonic()
        # Not forked from here: that would copy locks which torch's threads may hold. A server that has read the modules
        # and computed nothing forks them in a tenth of a second, and they share its memory.
        has_server = "forkserver" in mp.get_all_start_methods()
        context = mp.get_context("forkserver") if has_server else mp.get_context("spawn")
        context.set_forkserver_preload([__name__])
        self.ours, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, *self._args), daemon=True)
        self.process.start()
        theirs.close()

    @property
    def silent_s(self) -> float:
        """How long nothing came from it."""
        return time.monotonic() - self._heard_s

    def give(self, task: Task) -> None:
        """Begin a task."""
        self.busy, self._heard_s = task, time.monotonic()
        with suppress(BrokenPipeError, ConnectionResetError):  # died idle: the loop sees the end of its pipe
            self.ours.send(task)

    def hear(self, task: Task) -> Iterator[Event]:
        """What it says of its task; a new process takes the place of one that died."""
        self._heard_s = time.monotonic()
        try:
            kind, facts = self.ours.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            code = self.process.exitcode
            self.ours.close()
            self.busy = None
            self._start()
            yield Event(task, "lost", {"error": f"exit status {code}"})
            return
        if kind == _ALIVE:
            return
        if kind != "progress":
            self.busy = None
        yield Event(task, kind, facts)

    def stop(self) -> None:
        """End it."""
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
    threading.Thread(target=_end_with_the_parent, name="gtalk-parent", daemon=True).start()
    try:
        while True:
            done = bench.do(pipe.recv(), tell)
            with speaking:
                pipe.send(done)
    except (EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt, _ParentDied):
        return


def _end_with_the_parent() -> None:
    """A worker whose batch was killed must not put its output in place while the next run is at work on it."""
    parent = mp.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


class _ParentDied(BaseException):
    """Nobody waits for the result any more."""
