"""One job at a time, each a `gtalk` command in a process of its own, kept on disk so that a restart goes on.

FOLDER/.jobs/0007.json     what is to be run, and what came of it
FOLDER/.jobs/0007.jpg      the last picture that it told
FOLDER/.jobs/0007.log      what it wrote on stderr
"""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gtalk.errors import UserError
from gtalk.files import atomic_path, write_json
from gtalk.reading.untrusted import read_json
from gtalk.studio import commands
from gtalk.studio.advice import fault_name
from gtalk.studio.pace import Pace

KEPT = 40
"""Jobs that are remembered."""
_WAITING, _RUNNING, _OVER = "waiting", "running", ("done", "failed", "stopped")
_BUSY = "no other run that writes to it"  # as gtalk.files.exclusive puts it
_BUSY_S, _BUSY_TRIES = 2.0, 15  # a run that a killed server left behind ends at its next word
_END_S = 10.0
PROGRAM = (sys.executable, "-m", "gtalk", "--events")


@dataclass
class Job:
    """A command and what is known of it."""

    number: int
    kind: str
    """train, dub, eval, export or share."""
    avatar: str
    """Which of the library it is for."""
    words: list[str]
    """What `gtalk` is given."""
    output: str
    """What it makes."""
    label: str = ""
    """What people call it: the sound's name, say."""
    state: str = _WAITING
    said: list[str] = field(default_factory=list)
    error: dict[str, str] | None = None
    seconds: float = 0.0
    picture: int = 0
    """Step of the last picture; 0 without one."""
    share: float = 0.0
    """How much of it was done when it last stopped."""


class Jobs:
    """The queue. `on_done` is told of each job that succeeded, in the queue's thread."""

    def __init__(
        self, folder: Path, on_done: Callable[[Job], None] = lambda _job: None, program: tuple[str, ...] = PROGRAM
    ) -> None:
        self._folder, self._on_done, self._program = folder, on_done, program
        self._lock, self._wake, self._ended = threading.RLock(), threading.Event(), threading.Event()
        self._jobs = {job.number: job for job in _kept(folder)}
        for job in self._jobs.values():  # of a server that was killed
            job.state = _WAITING if job.state == _RUNNING else job.state
        self._process: subprocess.Popen[str] | None = None
        self._running: tuple[Job, Pace, float] | None = None
        self._thread = threading.Thread(target=self._run, name="gtalk-jobs", daemon=True)

    def start(self) -> None:
        """Begin with what waits."""
        self._thread.start()

    def stop(self) -> None:
        """End the job that runs; it goes on at the next start."""
        self._ended.set()
        self._wake.set()
        self._terminate()
        if self._thread.is_alive():
            self._thread.join(timeout=_END_S)

    def add(self, kind: str, avatar: str, words: list[str], output: Path, label: str = "") -> Job:
        """Queue a command; one that waits or runs already is not doubled."""
        with self._lock:
            for job in self._jobs.values():
                if job.words == words and job.state not in _OVER:
                    return job
            job = Job(max(self._jobs, default=0) + 1, kind, avatar, words, str(output), label)
            self._write(job)
            self._jobs[job.number] = job
            over = [number for number, old in self._jobs.items() if old.state in _OVER]
            for number in over[: max(0, len(self._jobs) - KEPT)]:
                self.forget(number)
        self._wake.set()
        return job

    def cancel(self, number: int) -> None:
        """Stop a job; what it has made is kept for the next run of it."""
        with self._lock:
            job = self._job(number)
            if job.state == _WAITING:
                job.state = "stopped"
                self._write(job)
            elif job.state == _RUNNING:
                job.state = "stopped"
                self._terminate()

    def again(self, number: int) -> None:
        """Run a job once more, from where it stood."""
        with self._lock:
            job = self._job(number)
            if job.state in _OVER:
                job.state, job.error, job.said = _WAITING, None, []
                self._write(job)
        self._wake.set()

    def forget(self, number: int) -> None:
        """Take a job that is over off the list."""
        with self._lock:
            if self._job(number).state in _OVER:
                del self._jobs[number]
                for path in self._folder.glob(f"{number:04d}.*"):
                    path.unlink(missing_ok=True)

    def forget_avatar(self, avatar: str) -> None:
        """Stop and forget all jobs of an avatar that is deleted."""
        for job in [job for job in self._jobs.values() if job.avatar == avatar]:
            self.cancel(job.number)
            while self._running is not None and self._running[0] is job and not self._ended.is_set():
                time.sleep(0.05)
            self.forget(job.number)

    def is_busy(self, avatar: str) -> bool:
        """Whether something waits or runs for an avatar."""
        return any(job.avatar == avatar and job.state not in _OVER for job in list(self._jobs.values()))

    def picture(self, number: int) -> Path | None:
        """The last picture of a job."""
        path = self._folder / f"{self._job(number).number:04d}.jpg"
        return path if path.exists() else None

    def told(self) -> list[dict[str, Any]]:
        """All jobs for the page, newest first."""
        with self._lock:
            running = self._running
            return [self._plain(job, running) for job in sorted(self._jobs.values(), key=lambda job: -job.number)]

    def _plain(self, job: Job, running: tuple[Job, Pace, float] | None) -> dict[str, Any]:
        told = asdict(job) | {"command": commands.shown(job.words), "share": 1.0 if job.state == "done" else job.share}
        del told["words"]
        if job.error is not None:
            told["error"] = job.error | {"code": fault_name(job.error.get("text", ""))}
        if running is not None and running[0] is job:
            _, pace, began_s = running
            left_s = pace.left_s()
            told |= {"share": round(pace.share, 4), "stage": pace.stage, "seconds": time.monotonic() - began_s,
                     "left_s": None if left_s is None else round(left_s)}  # fmt: skip
        return told

    def _job(self, number: int) -> Job:
        if number not in self._jobs:
            raise UserError("job", expected="one on the list", got=str(number), remedy="Load the page anew.")
        return self._jobs[number]

    def _write(self, job: Job) -> None:
        write_json(self._folder / f"{job.number:04d}.json", asdict(job))

    def _terminate(self) -> None:
        if (process := self._process) is not None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()

    def _run(self) -> None:
        while not self._ended.is_set():
            self._wake.clear()
            with self._lock:
                job = next((job for job in self._jobs.values() if job.state == _WAITING), None)
                if job is not None:
                    job.state = _RUNNING
                    self._running = (job, Pace(job.kind), time.monotonic())
            if job is None:
                self._wake.wait()
                continue
            try:
                self._do(job)
            finally:
                self._running = None

    def _do(self, job: Job) -> None:
        began_s = time.monotonic()
        for _ in range(_BUSY_TRIES):
            job.error = None
            try:
                self._write(job)
                status = self._attempt(job)
            except (OSError, UserError) as error:
                status, job.error = 2, {"text": str(error)}
            if job.error is None or job.error.get("expected") != _BUSY or self._ended.wait(_BUSY_S):
                break
        job.seconds += time.monotonic() - began_s
        job.share = self._running[1].share if self._running is not None else job.share
        if self._ended.is_set() and job.state == _RUNNING and status:
            job.state = _WAITING  # goes on at the next start
        elif job.state == _RUNNING:
            job.state = "done" if status == 0 else "failed"
            if status and job.error is None:
                job.error = {"text": _last_words(self._folder / f"{job.number:04d}.log", status)}
        with contextlib.suppress(OSError, UserError):
            if job.state == "done" or (job.kind == "train" and job.state == "failed"):
                self._on_done(job)
            self._write(job)

    def _attempt(self, job: Job) -> int:
        words = [*self._program, *job.words]
        with open(self._folder / f"{job.number:04d}.log", "w", encoding="utf-8") as log, subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, text=True, encoding="utf-8"
        ) as process:  # fmt: skip
            self._process = process
            if job.state != _RUNNING or self._ended.is_set():
                process.terminate()
            assert process.stdout is not None
            for line in process.stdout:
                with contextlib.suppress(ValueError, KeyError, TypeError, OSError, UserError):
                    self._hear(job, json.loads(line))
        self._process = None
        return process.returncode

    def _hear(self, job: Job, event: dict[str, Any]) -> None:
        match event["event"]:
            case "progress" if self._running is not None:
                self._running[1].report(event["stage"], event["done"], event["total"])
            case "say":
                job.said = [*job.said, str(event["text"])][-12:]
            case "picture":
                with atomic_path(self._folder / f"{job.number:04d}.jpg") as temporary:
                    temporary.write_bytes(base64.b64decode(event["jpeg"]))
                job.picture = int(event["step"])
            case "error":
                words = {key: str(event[key]) for key in ("what", "expected", "got", "remedy", "text") if key in event}
                if "text" not in words:
                    words["text"] = (
                        f"{words['what']}: expected {words['expected']}; got {words['got']}. {words['remedy']}"
                    )
                job.error = words


def _kept(folder: Path) -> list[Job]:
    jobs = []
    for path in sorted(folder.glob("[0-9]*.json")):
        with contextlib.suppress(OSError, ValueError, TypeError):
            jobs.append(Job(**read_json(path)))
    return jobs


def _last_words(log: Path, status: int) -> str:
    """Of a process that ended without saying why."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []
    if status in {-9, 137}:
        return "it was killed: most likely there was not enough memory. Close other programs, then try again."
    return f"it ended with status {status}" + (f": {lines[-1][:300]}" if lines else "") + ". Try again."
