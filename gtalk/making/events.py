"""The events of a work that tells them, as an iterator."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

from gtalk.making.train import TrainEvent


def events_of(work: Callable[[Callable[[TrainEvent], None]], None]) -> Iterator[TrainEvent]:
    """Runs `work`, which tells events, in a thread, one event ahead of whoever takes them; it stops when they go."""
    waiting: queue.Queue[TrainEvent | None] = queue.Queue(maxsize=1)
    gone, failed = threading.Event(), []

    def tell(event: TrainEvent | None) -> None:
        while not gone.is_set():
            try:
                return waiting.put(event, timeout=0.2)
            except queue.Full:
                continue
        raise _Gone

    def run() -> None:
        try:
            work(tell)
        except _Gone:
            return
        except BaseException as error:  # told where the events are taken
            failed.append(error)
        try:
            tell(None)
        except _Gone:
            return

    thread = threading.Thread(target=run, name="gtalk-train", daemon=True)
    thread.start()
    try:
        while (event := waiting.get()) is not None:
            yield event
        thread.join()
        if failed:
            raise failed[0]
    finally:
        gone.set()
        thread.join()


class _Gone(BaseException):
    """Nobody takes events any more."""
