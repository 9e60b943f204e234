"""The jobs of a server: each a folder that outlives it, done by the workers of `gtalk batch`.

jobs/ID/job.json     whose it is, what was wished, how far it is
dub.mp4      the result, whole or absent
files/ID             an upload; ID.json: whose it is and what it was called
"""

from __future__ import annotations

import itertools
import json
import queue
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from gtalk.dub.batch.capacity import cores_here
from gtalk.dub.batch.engine import run_tasks
from gtalk.dub.batch.jobs import Job, read_job
from gtalk.dub.batch.processes import ProcessEngine
from gtalk.dub.batch.run import SPLIT_S
from gtalk.dub.batch.scheduler import Event, Scheduler
from gtalk.dub.batch.worker import Load
from gtalk.errors import UserError
from gtalk.files import write_json
from gtalk.reading.untrusted import read_json

State = Literal["waiting", "running", "done", "failed", "cancelled"]
_OPEN = ("waiting", "running")
_TELL_S = 0.2  # between two reports of the progress of a job
_SWEEP_S = 600.0


@dataclass
class Order:
    """One job as clients see it."""

    id: str
    owner: str
    avatar: str
    created_s: float
    entry: dict[str, Any]
    state: State = "waiting"
    progress: float = 0.0
    error: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        """What clients are told: no paths of this machine."""
        hidden = {"entry", "owner", "facts"}
        known = {name: value for name, value in asdict(self).items() if name not in hidden}
        told = {
            name: self.facts[name] for name in ("duration_s", "wall_s", "n_frames", "warnings") if name in self.facts
        }
        return {**known, "progress": round(self.progress, 3), **told}


class Orders:
    """All jobs of one folder. Methods may be called from any thread.

    Args:
        folder: where jobs lie; jobs that wait there are gone on with.
        workers: processes; by default one a core.
        keep_s: finished jobs and uploads go after so long.
    """

    def __init__(self, folder: Path, workers: int | None, keep_s: float, load: Load) -> None:
        self.folder = folder
        self._keep_s = keep_s
        self._agenda = Scheduler([], SPLIT_S)
        self._engine = ProcessEngine(workers or cores_here(), load)
        self._lock = threading.RLock()
        self._orders: dict[str, Order] = {}
        self._numbers = itertools.count(1)
        self._lines: dict[int, str] = {}  # of the scheduler, and whose job it is
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._listeners: list[Callable[[Order], None]] = []
        self._thread = threading.Thread(target=self._work, name="gtalk-orders", daemon=True)
        self._ending = False
        self._told_s: dict[str, float] = {}
        self.done_video_s = 0.0

    def start(self) -> None:
        """Read what is there, and begin."""
        for path in sorted((self.folder / "jobs").glob("*/job.json")):
            try:
                order = Order(**read_json(path))
            except (OSError, ValueError, TypeError):
                continue  # not ours
            self._orders[order.id] = order
            if order.state in _OPEN:
                order.state, order.progress = "waiting", 0.0
                self._enqueue(order)
        self._thread.start()

    def stop(self) -> None:
        """End the workers. What was under way waits for the next start."""
        self._ending = True
        self._inbox.put(None)
        for line in list(self._lines):
            self._engine.end(line)
        self._thread.join(timeout=30)
        with self._lock:
            for order in self._orders.values():
                if order.state == "running":
                    order.state, order.progress = "waiting", 0.0
                    self._save(order)

    def submit(self, owner: str, avatar: str, entry_of: Callable[[Path], dict[str, Any]], most_waiting: int) -> Order:
        """A new job. `entry_of` is given its folder. Raises UserError for one that is wrong, or one too many."""
        with self._lock:
            waiting = sum(o.owner == owner and o.state in _OPEN for o in self._orders.values())
            if waiting >= most_waiting:
                raise UserError("jobs", expected=f"at most {most_waiting} that wait", got=str(waiting + 1),
                                remedy="Wait until some are done.")  # fmt: skip
            name = secrets.token_hex(8)
            folder = self.folder / "jobs" / name
            folder.mkdir(parents=True)
            order = Order(name, owner, avatar, folder.stat().st_mtime, {})
            try:
                order.entry = entry_of(folder)
                self._checked(order, 0)
                self._save(order)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            self._orders[order.id] = order
            self._enqueue(order)
            return order

    def of(self, owner: str) -> list[Order]:
        """A client's jobs, the newest first."""
        with self._lock:
            own = [o for o in self._orders.values() if o.owner == owner]
        return sorted(own, key=lambda o: o.created_s, reverse=True)

    def get(self, owner: str, job_id: str) -> Order | None:
        """A client's job."""
        order = self._orders.get(job_id)
        return order if order is not None and order.owner == owner else None

    def result(self, order: Order) -> Path | None:
        """The file of a job that is done."""
        path = Path(order.entry["output"])
        return path if order.state == "done" and path.is_file() else None

    def cancel(self, order: Order) -> None:
        """End a job, or forget one that is over, with all its files."""
        with self._lock:
            was = order.state
            if was in _OPEN:
                self._set(order, state="cancelled")
            del self._orders[order.id]
            line = next((n for n, one in self._lines.items() if one == order.id), None)
            if line is not None:
                self._inbox.put(lambda: self._agenda.drop(line))
                self._lines.pop(line)
                if was == "running":
                    self._engine.end(line)
        shutil.rmtree(self.folder / "jobs" / order.id, ignore_errors=True)

    def listen(self, listener: Callable[[Order], None]) -> Callable[[], None]:
        """Be told of every change, from another thread. Returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        with self._lock:
            states = [o.state for o in self._orders.values()]
        return {state: states.count(state) for state in ("waiting", "running", "done", "failed")}

    def _checked(self, order: Order, line: int) -> Job:
        return read_job(line, json.dumps({**order.entry, "overwrite": True}), self.folder)

    def _enqueue(self, order: Order) -> None:
        def add() -> None:
            line = next(self._numbers)
            try:
                job = self._checked(order, line)
            except (OSError, ValueError) as error:  # a file of it has gone meanwhile
                self._set(order, state="failed", error=str(error))
                return
            self._lines[line] = order.id
            self._agenda.add(job)

        self._inbox.put(add)

    def _work(self) -> None:
        with closing(run_tasks(self._agenda, self._engine, self._more)) as events:
            for event in events:
                self._see(event)
                while not self._inbox.empty():
                    if (do := self._inbox.get()) is None:
                        return
                    do()

    def _more(self) -> bool:
        """Waits for something to do; False at the end."""
        while not self._ending:
            try:
                do = self._inbox.get(timeout=_SWEEP_S)
            except queue.Empty:
                self._sweep()
                continue
            if do is None:
                return False
            do()
            if len(self._agenda):
                return True
        return False

    def _see(self, event: Event) -> None:
        with self._lock:
            order = self._orders.get(self._lines.get(event.task.job.line, ""))
            end = self._agenda.see(event)
            if order is None or order.state == "cancelled":
                return
            if event.kind == "started" and order.state == "waiting":
                self._set(order, state="running")
            elif event.kind == "progress" and (total := event.facts["total"]) and event.task.step in ("whole", "draw"):
                self._move(order, event.facts["done"] / (self._agenda.n_frames(event.task) or total))
            if end is not None:
                self._lines.pop(event.task.job.line, None)
                self._over(order, end)

    def _move(self, order: Order, share: float) -> None:
        order.progress = max(order.progress, min(share, 0.999))
        if time.monotonic() - self._told_s.get(order.id, 0.0) > _TELL_S:
            self._told_s[order.id] = time.monotonic()
            self._tell(order)

    def _over(self, order: Order, end: Event) -> None:
        self._told_s.pop(order.id, None)
        if end.kind == "done":
            self.done_video_s += float(end.facts.get("duration_s", 0.0))
            self._set(order, state="done", progress=1.0, facts=end.facts)
        else:
            self._set(order, state="failed", error=str(end.facts.get("error", "")))

    def _set(self, order: Order, **changes: Any) -> None:
        for name, value in changes.items():
            setattr(order, name, value)
        self._save(order)
        self._tell(order)

    def _save(self, order: Order) -> None:
        folder = self.folder / "jobs" / order.id
        if folder.is_dir():
            write_json(folder / "job.json", asdict(order))

    def _tell(self, order: Order) -> None:
        for listener in list(self._listeners):
            listener(order)

    def _sweep(self) -> None:
        """What is over for long goes."""
        clock = self.folder / ".clock"  # files are as old as the file system says
        clock.touch()
        now_s = clock.stat().st_mtime
        with self._lock:
            old = [o for o in self._orders.values() if o.state not in _OPEN and now_s - o.created_s > self._keep_s]
        for order in old:
            self.cancel(order)
        for path in (self.folder / "files").glob("*"):
            if now_s - path.stat().st_mtime > self._keep_s:
                path.unlink(missing_ok=True)
