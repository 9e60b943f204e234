"""Silence for native libraries that write to the terminal from C++."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_ONE_AT_A_TIME = threading.RLock()  # the process has one stderr and one list of warning filters


@contextmanager
def quiet() -> Iterator[None]:
    """Drop what is written to stderr, past Python's own stream, while the block runs. Threads take turns."""
    with _ONE_AT_A_TIME:
        sys.stderr.flush()
        kept = os.dup(2)
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, 2)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            os.dup2(kept, 2)
            os.close(null)
            os.close(kept)
