"""Speech in, a finished video file out: one at a time, or a list of jobs.

The names are looked up on first use, so that `gtalk --help` need not load a renderer.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gtalk.dub.config import DubConfig

if TYPE_CHECKING:
    from gtalk.dub.batch.run import BatchResult, run_batch
    from gtalk.dub.render import DubResult, dub

__all__ = ["BatchResult", "DubConfig", "DubResult", "dub", "run_batch"]

_HOME = {"BatchResult": "batch.run", "run_batch": "batch.run", "DubResult": "render", "dub": "render"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'gtalk.dub' has no attribute {name!r}")
    return getattr(importlib.import_module(f"gtalk.dub.{_HOME[name]}"), name)
