"""How many workers a machine has room for, and which GPU each of them sees."""

from __future__ import annotations

import os
from itertools import takewhile

import torch

_WORKER_GB = 3.0  # of a GPU's memory: its context, an avatar, the images of a batch


def cores_here() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpu_of(number: int, visible: str | None, count: int) -> str | None:
    """The one GPU that worker `number` sees, as CUDA_VISIBLE_DEVICES names it; None where there is none.

    Args:
        visible: CUDA_VISIBLE_DEVICES of this process; None where it is not set.
        count: GPUs of the machine, where it is not.
    """
    names = [str(i) for i in range(count)] if visible is None else [name.strip() for name in visible.split(",")]
    # CUDA stops reading at the first name that is none.
    usable = list(takewhile(lambda name: name not in ("", "-1"), names))
    return usable[number % len(usable)] if usable else None


def draws_on_gpu(device: str) -> bool:
    """Whether a job of this device is drawn on a GPU of this machine."""
    return device == "cuda" or (device == "auto" and torch.cuda.is_available())


def default_workers_per_gpu() -> int:
    """Workers that share a GPU of this machine: each needs a core for sound and encoder, and its memory of the GPU."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        return 1
    memory_gb = min(torch.cuda.get_device_properties(i).total_memory for i in range(count)) / 1e9
    return workers_for(cores_here(), count, memory_gb)


def workers_for(cores: int, gpus: int, memory_gb: float) -> int:
    """How many workers a GPU of this size takes on a machine of so many cores; at least one."""
    return max(1, min(cores // gpus, int(memory_gb * 0.8 / _WORKER_GB)))
