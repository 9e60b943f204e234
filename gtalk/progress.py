"""Progress of long work, as values: who does the work reports, who owns the screen draws."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Progress:
    """`done` of `total` units of `stage` are finished; `total` is None where it is unknown."""

    stage: str
    done: int
    total: int | None
    note: str = ""


OnProgress = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """The default listener: draws nothing."""
    del progress


def track(items: Iterable[Item], stage: str, total: int | None, on_progress: OnProgress) -> Iterator[Item]:
    """Yield `items`, reporting after each one is consumed."""
    on_progress(Progress(stage, 0, total))
    for done, item in enumerate(items, start=1):
        yield item
        on_progress(Progress(stage, done, total))
