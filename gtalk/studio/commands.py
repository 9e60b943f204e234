"""The command line of each thing that the studio does: what runs, and what the page shows."""

from __future__ import annotations

import shlex
from pathlib import Path

from gtalk.studio.takes import Take
from gtalk.types import VIDEO_FPS

LEAST_S = 25 / VIDEO_FPS
"""A stretch that was broken off sooner is left out."""


def train(take: Take, output: Path, device: str = "auto") -> list[str]:
    """An avatar of a recording."""
    facts = take.facts
    seconds = facts.get("parts", {})
    clips = [str(clip) for clip in take.clips if seconds.get(clip.name, LEAST_S) >= LEAST_S]
    words = ["train", *clips, "-o", str(output), "--person", facts["person"], "--consent", facts["statement"]]
    if faces := take.clips_of("faces"):
        words += ["--expressions", str(faces[-1])]
        if (labels := faces[-1].with_suffix(".csv")).exists():
            words += ["--labels", str(labels)]
    return words + (["--device", device] if device != "auto" else [])


def dub(avatar: Path, sound: Path, film: Path) -> list[str]:
    """A film of an avatar that says a sound file."""
    return ["dub", str(avatar), str(sound), "-o", str(film), "--overwrite"]


def evaluate(avatar: Path) -> list[str]:
    """The measures of an avatar."""
    return ["eval", str(avatar), "--json", str(avatar / "eval.json"), "--html", str(avatar / "eval.html")]


def share(avatar: Path, folder: Path, sound: Path | None) -> list[str]:
    """A page for any static host, with a message where there is sound."""
    said = [] if sound is None else ["--audio", str(sound)]
    return ["export", str(avatar), "--format", "web", "-o", str(folder), *said, "--overwrite"]


def export(avatar: Path, kind: str, output: Path) -> list[str]:
    """A file for other programs."""
    return ["export", str(avatar), "--format", kind, "-o", str(output), "--overwrite"]


def view(avatar: Path) -> list[str]:
    """The live page."""
    return ["view", str(avatar)]


def shown(words: list[str]) -> str:
    """A command line to be typed."""
    return shlex.join(["gtalk", *words])
