"""How a server that runs in the foreground ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import suppress


def wait_until_ended(report: Callable[[str], None]) -> None:
    """Wait for Ctrl-C, SIGTERM or SIGHUP, say so, and return: that is how a server ends, and no failure.

    A second one, while whoever called cleans up, raises KeyboardInterrupt.
    """
    with suppress(ValueError):  # not in the main thread: whoever called sees to signals
        for name in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, _ended)
    try:
        threading.Event().wait()
    except KeyboardInterrupt as told:
        report(f"{str(told) or 'Ctrl-C'}: closing down; what is being recorded is finished first")


def _ended(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)
