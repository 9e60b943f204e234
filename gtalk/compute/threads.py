"""How many threads of this process compute."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import cv2
import torch
from threadpoolctl import ThreadpoolController, threadpool_limits


def compute_on(threads: int | None = None) -> None:
    """From now on torch and OpenCV use so many threads, or as many as before; BLAS uses one in any case.

    What is said to an avatar makes small matrices: threads of BLAS would spin between them, in the way of drawing and
    encoding. Call it before the threads that draw begin: torch asks once a thread.
    """
    threadpool_limits(1, "blas")
    if threads is not None:
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)


@contextmanager
def on_one_thread() -> Iterator[None]:
    """While it lasts, torch's kernels (in this thread) and BLAS (in this process) use one thread.

    For small matrices in a row, as motion inference has them: sharing them out costs more than it brings, and on a
    busy machine each of them waits for a thread that has lost its core. Costs some microseconds. Unlike
    torch.set_num_threads it leaves other threads' kernels alone.
    """
    torch.get_num_threads()  # which sets this thread's number when it is first asked
    pools = _pools()
    if all(pool.get_num_threads() == 1 for pool in pools.lib_controllers):  # asking is cheap, setting is not
        yield
        return
    with pools.limit(limits=1):
        yield


@cache
def _pools() -> ThreadpoolController:
    return ThreadpoolController()  # looks through all loaded libraries, which takes milliseconds
