"""Draws progress: one line per stage with share, rate and time left, on stderr; or, for programs, as JSON on stdout."""

from __future__ import annotations

import base64
import json
import sys
import time
from contextvars import ContextVar
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

from gtalk.errors import UserError
from gtalk.progress import Progress
from gtalk.shapes import UInt8

AS_EVENTS: ContextVar[bool] = ContextVar("gtalk_as_events", default=False)
"""Whether progress is told to a program: `gtalk --events COMMAND`."""
_TOLD_EVERY_S = 0.2  # at most so often about a stage that goes on


def tell(event: str, **facts: Any) -> None:
    """One JSON line on stdout."""
    sys.stdout.write(json.dumps({"event": event, **facts}) + "\n")
    sys.stdout.flush()


def tell_error(error: UserError) -> None:
    """What the input's fault is."""
    tell("error", what=error.what, expected=error.expected, got=error.got, remedy=error.remedy)


class Bars:
    """A context manager that is an OnProgress. Stages appear as they are first reported.

    Where stderr is not a terminal, each stage prints one line when it ends, so that logs stay short.
    """

    def __init__(self) -> None:
        self._as_events, self._told_s = AS_EVENTS.get(), dict[str, float]()
        self._console = Console(stderr=True)
        self._rich = RichProgress(
            TextColumn("{task.description:<16}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._ended: set[str] = set()

    def __enter__(self) -> Bars:
        self._rich.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rich.stop()

    def __call__(self, progress: Progress) -> None:
        """Draw one report."""
        if self._as_events:
            self._tell(progress)
            return
        if not self._console.is_terminal:
            if progress.total is not None and progress.done >= progress.total and progress.stage not in self._ended:
                self._ended.add(progress.stage)
                self._console.print(f"{progress.stage}: {progress.done} done {progress.note}".rstrip(), highlight=False)
            return
        if progress.stage not in self._tasks:
            self._tasks[progress.stage] = self._rich.add_task(progress.stage, total=progress.total, note="")
        self._rich.update(
            self._tasks[progress.stage], completed=progress.done, total=progress.total, note=progress.note
        )

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        if self._as_events:
            tell("say", text=line)
        else:
            self._console.print(line, highlight=False, markup=False)

    def picture(self, truth: UInt8[np.ndarray, "H W 3"], render: UInt8[np.ndarray, "H W 3"], step: int) -> None:
        """A training frame beside the avatar's image of it, for a program that shows it."""
        if self._as_events:
            pair = cv2.cvtColor(np.concatenate([truth, render], axis=1), cv2.COLOR_RGB2BGR)
            jpeg = cv2.imencode(".jpg", pair, [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
            tell("picture", step=step, jpeg=base64.b64encode(jpeg.tobytes()).decode())

    def _tell(self, progress: Progress) -> None:
        now_s = time.monotonic()
        ends = progress.total is not None and progress.done >= progress.total
        if ends or now_s - self._told_s.get(progress.stage, -1.0) >= _TOLD_EVERY_S:
            self._told_s[progress.stage] = now_s
            tell("progress", stage=progress.stage, done=progress.done, total=progress.total, note=progress.note)
