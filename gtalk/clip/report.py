"""report.html."""

from __future__ import annotations

from typing import Any

from gtalk.clip.stages import Job
from gtalk.files import atomic_path


def write_report(job: Job) -> dict[str, Any]:
    """Write report.html."""
    with atomic_path(job.root / "report.html") as temporary:
        temporary.write_text("<!doctype html><title>gtalk</title>", encoding="utf-8")
    return {"verdict": None}
