"""One worker of a batch: the avatar it has loaded, and the doing of one task, wherever it runs."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gtalk.dub.batch.chunks import draw_part, join_parts, listen, parts_folder
from gtalk.dub.batch.jobs import Job
from gtalk.dub.batch.scheduler import Task
from gtalk.dub.outputs import sweep
from gtalk.dub.render import DubResult, render_dub
from gtalk.dub.say import said
from gtalk.errors import UserError
from gtalk.progress import OnProgress
from gtalk.talk import Character
from gtalk.voice.utterance import Voice
from gtalk.voice.voices import open_voice

Load = Callable[[Path], Character]


class Worker:
    """Keeps the avatar and the voice that it loaded last; tasks come ordered by avatar."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._loaded: tuple[tuple[Path, str], Character] | None = None
        self._voice: tuple[tuple[str, int], Voice] | None = None

    def do(self, task: Task, on_progress: OnProgress) -> tuple[str, dict[str, Any]]:
        """("done" | "failed", facts). Whatever goes wrong with the task is a fact, not an exception."""
        try:
            return "done", self._facts(task, on_progress)
        except UserError as error:
            return "failed", {"error": str(error), "detail": ""}
        except Exception as error:
            return "failed", {"error": f"{type(error).__name__}: {error}", "detail": traceback.format_exc()}

    def _facts(self, task: Task, on_progress: OnProgress) -> dict[str, Any]:
        job, character = task.job, self._character(task.job.avatar, task.job.config.device)
        if job.source is None:
            return self._say(job, character, on_progress)
        folder = parts_folder(job.output, job.key)
        if task.step == "listen":
            parts = listen(character, job.source, job.config, folder, task.split_s, on_progress)
            return {"part_frames": parts}
        if task.step == "draw":
            result = draw_part(character, folder, task.part, job.output, job.config, on_progress)
            return {} if result is None else _facts(result)
        sweep(job.output)
        if task.step == "join":
            return join_parts(character.identity, job.source, job.output, job.config, folder, task.part, on_progress)
        return _facts(render_dub(character, job.source, job.output, job.config, on_progress))

    def _say(self, job: Job, character: Character, on_progress: OnProgress) -> dict[str, Any]:
        assert job.lines is not None
        sweep(job.output)
        if self._voice is None or self._voice[0] != (job.voice, job.words_per_minute):
            self._voice = ((job.voice, job.words_per_minute), open_voice(job.voice, job.words_per_minute))
        with said(job.lines, self._voice[1], job.config) as speech:
            return _facts(render_dub(character, speech.source, job.output, speech.config, on_progress, speech.known))

    def _character(self, avatar: Path, device: str) -> Character:
        if self._loaded is None or self._loaded[0] != (avatar, device):
            self._loaded = None  # two avatars need not fit into memory
            # A worker sees one GPU: which, was settled before it began.
            self._loaded = ((avatar, device), self._load(avatar).to(device))
        return self._loaded[1]


def _facts(result: DubResult) -> dict[str, Any]:
    return {
        "n_frames": result.n_frames, "n_samples": result.n_samples, "duration_s": round(result.duration_s, 3),
        "wall_s": round(result.wall_s, 3), "encode_s": round(result.encode_s, 3), "warnings": list(result.warnings),
    }  # fmt: skip
