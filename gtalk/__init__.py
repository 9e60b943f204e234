"""gtalk: a few minutes of video of one person become a talking portrait that any speech can drive.

    clip.mp4 ──prepare──▶ dataset/ ──fit──▶ avatar/ ──┐
                             │                         ├─▶ Talker ─▶ frames ─┬─▶ live viewer
                             └──train motion──▶ motion model ─┘                └─▶ dubbed video, batch

Where to read: `types` (what crosses borders, with units and frames of reference), then the rooms in the
order of the data: `clip`, `dataset`, `avatar` and `fit`, `speech` and `motion`, `talk`, `dub`, `viewer`, `eval`.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # pyproject.toml's, read when asked for

        return version("gtalk")
    raise AttributeError(f"module 'gtalk' has no attribute {name!r}")
