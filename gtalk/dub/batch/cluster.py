"""Workers on a Ray cluster: the one at $RAY_ADDRESS, or one that is started on this machine.

All nodes must see the files under the same paths. A task whose node is lost is done again elsewhere.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any

from gtalk.compute.threads import compute_on
from gtalk.dub.batch.scheduler import Event, Task
from gtalk.dub.batch.worker import Load, Worker
from gtalk.errors import UserError
from gtalk.progress import Progress

_POLL_S = 0.5  # how often a cluster is asked for its progress


class RayEngine:
    """As many tasks at a time as the cluster has cores, or `workers`. Raises UserError without the package ray."""

    def __init__(self, workers: int | None, load: Load, workers_per_gpu: int = 1) -> None:
        try:
            import ray
        except ImportError as error:
            raise UserError("engine", expected="the package ray", got="none installed",
                            remedy="Run `pip install gtalk[cluster]`.") from error  # fmt: skip
        self._ray, self._workers, self._load = ray, workers, load
        self._gpu_share = 1 / workers_per_gpu
        self._ours = not ray.is_initialized()
        if self._ours:
            own = {"address": "local", "num_cpus": workers, "include_dashboard": False}  # not another's
            at_hand = {} if os.environ.get("RAY_ADDRESS") else own
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **at_hand)
        # Retries are the loop's: a lost task has to be told, and a part that is done needs no second doing.
        self._do = ray.remote(num_cpus=1, max_retries=0)(_remote)
        self._board = _board(ray)
        self._running: dict[Any, Task] = {}

    def has_room(self) -> bool:
        """See `Engine`."""
        return len(self._running) < (self._workers or max(1, int(self._ray.cluster_resources().get("CPU", 1))))

    def give(self, task: Task) -> None:
        """See `Engine`."""
        # Ray shows a task only the GPU that it was given a part of.
        needs = {"num_gpus": self._gpu_share} if task.job.config.device == "cuda" else {}
        self._running[self._do.options(**needs).remote(task, self._load, self._board)] = task

    def hear(self) -> Iterator[Event]:
        """See `Engine`."""
        from ray.exceptions import RayError

        for reference in self._ray.wait(list(self._running), num_returns=1, timeout=_POLL_S)[0]:
            task = self._running.pop(reference)
            try:
                yield Event(task, *self._ray.get(reference))
            except RayError as error:
                yield Event(task, "lost", {"error": f"{type(error).__name__}: {error}"})
        for task, facts in self._ray.get(self._board.take.remote()):
            if task in self._running.values():
                yield Event(task, "progress", facts)

    def close(self) -> None:
        """See `Engine`."""
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        self._ray.kill(self._board)
        if self._ours:
            self._ray.shutdown()


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
