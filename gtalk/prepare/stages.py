"""Named stages that resume: each is keyed by its code's version, its settings and the stages before it.

The state lies in `prepare.json` beside what the stages write. A stage writes its outputs atomically and
is recorded after that, so a kill at any instant costs at most the stage that was running.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gtalk.errors import UserError
from gtalk.files import sha256_of_json, write_json
from gtalk.prepare.frame_io import one_thread_each
from gtalk.progress import OnProgress, silent
from gtalk.reading.untrusted import read_json

STATE_FILE = "prepare.json"
_RECORD = {"key", "version", "seconds", "processor_seconds", "facts"}


@dataclass
class Job:
    """What a stage works with."""

    root: Path
    clips: list[Path]
    config: Any
    on_progress: OnProgress = silent
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What earlier stages found out, by stage: JSON values."""


@dataclass(frozen=True)
class Stage:
    """One step from clips to dataset."""

    name: str
    version: int
    """Raised when the code changes what comes out."""
    needs: tuple[str, ...]
    """Stages whose outputs it reads."""
    outputs: tuple[str, ...]
    settings: Callable[[Any], Any]
    """The part of the config that it depends on, as JSON values."""
    run: Callable[[Job], dict[str, Any]]
    """Writes the outputs and returns facts."""


class Pipeline:
    """Runs stages in order and remembers which are done."""

    def __init__(self, stages: list[Stage], job: Job, inputs: dict[str, str]) -> None:
        self.stages, self.job, self.inputs = stages, job, inputs
        self.state: dict[str, Any] = _read_state(job.root)

    def keys(self) -> dict[str, str]:
        """What each stage's outcome depends on, as a hash."""
        keys: dict[str, str] = {}
        for stage in self.stages:
            before = [keys[name] for name in stage.needs]
            settings = stage.settings(self.job.config)
            keys[stage.name] = sha256_of_json([stage.name, stage.version, settings, before, self.inputs])
        return keys

    def run(self, again_from: str | None = None) -> dict[str, Any]:
        """Run what is not done; with `again_from`, that stage and all after it whatever the state.

        Returns the record of every stage: key, version, seconds, processor_seconds (of all threads), facts.
        Raises UserError when no stage has that name.
        """
        names = [stage.name for stage in self.stages]
        if again_from is not None and again_from not in names:
            raise UserError("--stage", expected=f"one of: {', '.join(names)}", got=again_from, remedy="Name a stage.")
        keys = self.keys()
        stale = set(names[names.index(again_from) :]) if again_from is not None else set()
        for stage in self.stages:
            record = self.state.get(stage.name)
            done = record is not None and record["key"] == keys[stage.name] and stage.name not in stale
            if not (done and all((self.job.root / output).exists() for output in stage.outputs)):
                self._run_one(stage, keys[stage.name])
            self.job.facts[stage.name] = self.state[stage.name]["facts"]
        return {name: self.state[name] for name in names}

    def _run_one(self, stage: Stage, key: str) -> None:
        self.state.pop(stage.name, None)
        self._write_state()
        for output in (*stage.outputs, *_leftovers(self.job.root)):
            _remove(self.job.root / output)
        started, spent = time.perf_counter(), time.process_time()
        with one_thread_each():
            facts = stage.run(self.job)
        self.state[stage.name] = {
            "key": key,
            "version": stage.version,
            "seconds": round(time.perf_counter() - started, 2),
            "processor_seconds": round(time.process_time() - spent, 2),
            "facts": facts,
        }
        self._write_state()

    def _write_state(self) -> None:
        write_json(self.job.root / STATE_FILE, self.state)


def _read_state(root: Path) -> dict[str, Any]:
    try:
        value = read_json(root / STATE_FILE)
        kept = value.items() if isinstance(value, dict) else ()
        # A record that is not as we write them is of a stage to be done again.
        return {name: record for name, record in kept if isinstance(record, dict) and record.keys() >= _RECORD}
    except (OSError, ValueError):
        return {}


def _leftovers(root: Path) -> list[str]:
    """Temporary files of a run that was killed."""
    return [path.name for path in root.glob(".*.part*")]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
