"""How a server that runs in the foreground ends."""

from __future__ import annotations

import signal
import threading
from contextlib import suppress


def wait_until_ended() -> None:
    """Wait for Ctrl-C, SIGTERM or SIGHUP; each raises KeyboardInterrupt, so that whoever called cleans up."""
    with suppress(ValueError):  # not in the main thread: whoever called sees to signals
        for name in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, _ended)
    threading.Event().wait()


def _ended(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)
