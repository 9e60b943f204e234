"""Who does the tasks of a batch, and the one loop that gives them out: processes of this machine, or a Ray cluster.

Workers that die take one task with them: it is tried again, twice at most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable
from typing import Protocol, runtime_checkable

from gtalk.dub.batch.scheduler import Event, Scheduler, Task

ATTEMPTS = 3  # of a task whose worker died, the first included


@runtime_checkable
class Engine(Protocol):
    """Workers who take one task each."""

    def has_room(self) -> bool:
        """Whether a worker is there for another task."""
        ...

    def give(self, task: Task) -> None:
        """Begin a task."""
        ...

    def hear(self) -> Iterable[Event]:
        """What came in, after a moment's wait: "lost" with an error where a task's worker is gone."""
        ...

    def close(self) -> None:
        """End all workers, whatever they are doing."""
        ...


def _no_more() -> bool:
    return False


def run_tasks(agenda: Scheduler, engine: Engine, more: Callable[[], bool] = _no_more) -> Generator[Event]:
    """Do all tasks of an agenda; tells each that is started, its progress, and how it ended.

    `more` is asked when there is nothing left to do: it may wait, and says whether there will be more.
    """
    attempts: Counter[Task] = Counter()
    under_way = 0
    try:
        while len(agenda) or under_way or more():
            while len(agenda) and engine.has_room():
                task = agenda.next()
                attempts[task] += 1
                yield Event(task, "started")  # on record before there can be an output
                engine.give(task)
                under_way += 1
            for event in engine.hear() if under_way else ():
                under_way -= event.kind != "progress"
                if event.kind == "lost" and attempts[event.task] < ATTEMPTS:
                    agenda.again(event.task)
                elif event.kind == "lost":
                    error = f"its worker died {ATTEMPTS} times, last with {event.facts['error']}"
                    yield Event(event.task, "failed", {"error": error, "detail": ""})
                else:
                    yield event
    finally:
        engine.close()
