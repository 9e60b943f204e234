"""What a figure was measured on: printed by every benchmark, and kept in its JSON."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("torch", "numpy", "opencv-python-headless", "av", "gtalk")


def facts() -> dict[str, object]:
    """Processor, cores that may be used, load, GPU, versions, commit (with a + where files differ from it)."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "gpu": gpu,
        "load": round(os.getloadavg()[0], 1),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "commit": commit(),
    }


def line() -> str:
    """The same in two lines of text."""
    known = facts()
    first = f"{known['processor']}, {known['cores']} cores, {known['gpu'] or 'no GPU'}, load {known['load']}"
    second = ", ".join(f"{name} {known[name]}" for name in ("commit", "python", *PACKAGES[:-1]))
    return f"{first}\n{second}, {known['system']}"


def commit() -> str:
    """The commit that is checked out, with a + where tracked files differ from it; "unknown" outside a clone."""
    root = Path(__file__).resolve().parent

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True).stdout

    try:
        return git("rev-parse", "--short", "HEAD").strip() + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _processor() -> str:
    """The model's name; Linux tells it in /proc/cpuinfo only."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [text.partition(":")[2].strip() for text in lines if text.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
