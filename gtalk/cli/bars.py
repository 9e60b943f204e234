"""Draws progress: one line per stage with share, rate and time left, on stderr."""

from __future__ import annotations

from types import TracebackType

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

from gtalk.progress import Progress


class Bars:
    """A context manager that is an OnProgress. Stages appear as they are first reported.

    Where stderr is not a terminal, each stage prints one line when it ends, so that logs stay short.
    """

    def __init__(self) -> None:
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
        self._console.print(line, highlight=False, markup=False)
