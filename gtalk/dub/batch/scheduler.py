"""What a batch does next: whole jobs, and long ones in parts, so that many workers share one long file.

    short job ─▶ whole
    long job ──▶ listen (motion, cut at silences) ─▶ draw 0, draw 1, ... ─▶ join (sound, provenance)

Every task leaves its product on disk, whole or absent, and skips what is there: a task may be done twice.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from gtalk.dub.batch.chunks import is_long
from gtalk.dub.batch.jobs import Job
from gtalk.dub.batch.journal import DONE, FAILED

Step = Literal["whole", "listen", "draw", "join"]
Kind = Literal["started", "progress", "done", "failed", "lost"]


@dataclass(frozen=True)
class Task:
    """What one worker does at a time."""

    job: Job
    step: Step = "whole"
    part: int = 0
    split_s: float = 0.0


@dataclass(frozen=True)
class Event:
    """A change of one task's state."""

    task: Task
    kind: Kind
    facts: dict[str, Any] = field(default_factory=dict)
    """progress: done, total. failed: error, detail. lost, with its worker: error. done: of a listening task
    part_frames, otherwise n_frames, n_samples, duration_s, wall_s, encode_s, warnings."""


@dataclass
class _Split:
    """A long job under way."""

    started_s: float
    part_frames: list[int] = field(default_factory=list)
    left: set[int] = field(default_factory=set)
    encode_s: float = 0.0


class Scheduler:
    """The tasks of a batch in an order that keeps a worker's avatar loaded and finishes what is begun."""

    def __init__(self, jobs: Sequence[Job], split_s: float) -> None:
        """`split_s`: length of the parts of long jobs, seconds; 0 keeps every job whole."""
        self._split_s = split_s
        self._waiting: deque[Task] = deque()
        for job in jobs:
            self.add(job)
        self._split: dict[int, _Split] = {}
        self._over: set[int] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, job: Job) -> None:
        """One more job, after the others. Its line must be its own."""
        long = job.source is not None and is_long(job.source, job.config, self._split_s)
        self._waiting.append(Task(job, "listen", 0, self._split_s) if long else Task(job))

    def drop(self, line: int) -> None:
        """A job that nobody wants any more: what of it waits is forgotten, and what is lost of it not tried again."""
        self._over.add(line)
        self._waiting = deque(one for one in self._waiting if one.job.line != line)

    def next(self) -> Task:
        """The task to give to a worker that has none. Raises IndexError when none is waiting."""
        task = self._waiting.popleft()
        if task.step == "listen":
            self._split.setdefault(task.job.line, _Split(time.perf_counter()))
        return task

    def again(self, task: Task) -> None:
        """A task whose worker was lost."""
        if task.job.line not in self._over:
            self._waiting.appendleft(task)

    def see(self, event: Event) -> Event | None:
        """Take note of how a task ended; the end of its whole job, if this was it."""
        task, line = event.task, event.task.job.line
        if event.kind not in (DONE, FAILED) or line in self._over:
            return None
        if event.kind == FAILED or task.step in ("whole", "join"):
            self.drop(line)
            return self._ended(event)
        split = self._split[line]
        if task.step == "listen":
            split.part_frames = event.facts["part_frames"]
            split.left = set(range(len(split.part_frames)))
            parts = [Task(task.job, "draw", part, task.split_s) for part in sorted(split.left)]
            self._waiting.extendleft(reversed(parts))
        else:
            split.left.discard(task.part)
            split.encode_s += event.facts.get("encode_s", 0.0)
            if not split.left:
                self._waiting.appendleft(Task(task.job, "join", len(split.part_frames), task.split_s))
        return None

    def n_frames(self, task: Task) -> int | None:
        """Frames of the job that a drawing task belongs to; None where it is not known here."""
        split = self._split.get(task.job.line)
        return sum(split.part_frames) if split is not None and split.part_frames else None

    def _ended(self, event: Event) -> Event:
        split = self._split.get(event.task.job.line)
        if split is None or event.kind == FAILED:
            return event
        encode_s = split.encode_s + event.facts.get("encode_s", 0.0)
        whole = {"wall_s": round(time.perf_counter() - split.started_s, 3), "encode_s": round(encode_s, 3)}
        return Event(event.task, event.kind, {**event.facts, **whole})
