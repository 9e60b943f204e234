"""What a batch has done, on disk before it is believed: a run that was killed goes on where it stopped."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from gtalk.errors import UserError
from gtalk.files import require_name, require_writable_folder, try_lock
from gtalk.reading.untrusted import parse_json

STARTED, DONE, FAILED = "started", "done", "failed"


class Journal:
    """An append-only JSONL file beside the jobs file, one record for each change of a job's state.

    Every record is on the disk before `write` returns. A last line that a kill cut off is ignored.
    One process holds a journal at a time.
    """

    def __init__(self, jobs_path: Path, resume: bool) -> None:
        self.path = jobs_path.with_name(jobs_path.name + ".journal")
        require_writable_folder(self.path.parent)
        release = try_lock(self.path.with_name(self.path.name + ".lock"))
        if release is None:
            raise UserError(f"journal {self.path}", expected="no other run of these jobs", got="one that is running",
                            remedy="Wait for it, or stop it; then run again.")  # fmt: skip
        self._release = release
        require_name(self.path)
        self._file: TextIO = open(self.path, "a+", encoding="utf-8", errors="replace")  # noqa: SIM115 (closed by close)
        if not resume:
            self._file.truncate(0)
        self.last: dict[str, dict[str, Any]] = self._read()
        """The latest record of each job, by its key."""

    @property
    def started(self) -> frozenset[str]:
        """Keys of all jobs that were ever begun."""
        return frozenset(self.last)

    def write(self, key: str, state: str, **facts: Any) -> None:
        """Append a record and wait until the disk has it."""
        record = {"job": key, "state": state, **facts}
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()
        with suppress(OSError):  # not every file system can be asked to
            os.fsync(self._file.fileno())
        self.last[key] = record

    def close(self) -> None:
        """Let go of the file and its lock. A journal of nothing, as of jobs that were refused, does not stay."""
        empty = os.fstat(self._file.fileno()).st_size == 0
        self._file.close()
        if empty:
            self.path.unlink(missing_ok=True)
        self._release()

    def _read(self) -> dict[str, dict[str, Any]]:
        self._file.seek(0)
        text = self._file.read()
        last: dict[str, dict[str, Any]] = {}
        for line in text.splitlines():
            try:
                record = parse_json(line)
                if record["state"] in {STARTED, DONE, FAILED}:
                    last[record["job"]] = record
            except (ValueError, TypeError, KeyError):
                continue
        if text and not text.endswith("\n"):
            self._file.write("\n")  # so that the next record does not join the broken one
        return last
