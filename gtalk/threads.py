"""How many threads of this process compute."""

from __future__ import annotations

import cv2
import torch
from threadpoolctl import threadpool_limits  # scikit-learn's, which librosa needs


def compute_on(threads: int | None = None) -> None:
    """From now on torch and OpenCV use so many threads, or as many as before; BLAS uses one in any case.

    What is said to an avatar makes small matrices: threads of BLAS would spin between them, in the way of drawing and
    encoding. Call it before the threads that draw begin: torch asks once a thread.
    """
    threadpool_limits(1, "blas")
    if threads is not None:
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
