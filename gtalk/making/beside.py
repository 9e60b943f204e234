"""The lips learned in a process of their own while the looks are fitted: neither keeps two cores busy alone.

What `make_avatar` starts is `python -m gtalk.making.beside`, which is told its work as JSON on stdin, tells progress as
JSON lines on stdout, and ends when its stdin does: with whoever started it, however that ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gtalk.compute.device import resolve_device
from gtalk.errors import UserError
from gtalk.progress import OnProgress, Progress

PROGRAM = (sys.executable, "-m", "gtalk.making.beside")


class Lips:
    """A motion model that is being learned, or will be when it is waited for."""

    def __init__(self, dataset: Path, output: Path, device: str, take: Path | None) -> None:
        self._asked = {"dataset": str(dataset), "output": str(output), "device": device, "take": take and str(take)}
        self._process: subprocess.Popen[str] | None = None
        self._heard: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._over = False

    def start(self) -> None:
        """Begin now, in a process beside this one; where none can be had, `wait` does it all."""
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                PROGRAM, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
                env=os.environ | {"OMP_NUM_THREADS": str(max(1, cores() // 2))},
            )  # fmt: skip
            threading.Thread(target=self._listen, args=(self._process,), name="gtalk-lips", daemon=True).start()

    def tell(self, on_progress: OnProgress) -> None:
        """Pass on what was heard since, in the caller's thread. Raises UserError where learning failed."""
        while not self._heard.empty():
            self._pass_on(self._heard.get(), on_progress)

    def wait(self, on_progress: OnProgress) -> None:
        """Until it is learned and saved. Raises UserError as `train_motion` does."""
        if self._process is not None:
            while not self._over:
                self._pass_on(self._heard.get(), on_progress)
            if self._process.wait() == 0:
                return
        _learn(self._asked, on_progress)  # also where the process was killed, for want of memory, say

    def end(self) -> None:
        """Stop it, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None and process.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            process.stdin.write(json.dumps(self._asked) + "\n")
            process.stdin.flush()
            for line in process.stdout:
                with contextlib.suppress(ValueError):
                    self._heard.put(json.loads(line))
        self._heard.put(None)

    def _pass_on(self, event: dict[str, Any] | None, on_progress: OnProgress) -> None:
        if event is None:
            self._over = True
        elif "error" in event:
            raise UserError(**event["error"])
        else:
            on_progress(Progress(**event))


@contextmanager
def lips_beside(dataset: Path, output: Path, device: str, take: Path | None) -> Iterator[Lips]:
    """Learn the lips while the block runs, where that is quicker; the block waits for them. See `train_motion`."""
    lips = Lips(dataset, output, device, take)
    if is_worthwhile(device):
        lips.start()
    try:
        yield lips
    finally:
        lips.end()


def is_worthwhile(device: str) -> bool:
    """Whether two processes are quicker than one after the other: on two cores or more; a GPU is full with one."""
    return cores() > 1 and resolve_device(device).type == "cpu"


def cores() -> int:
    """Of this machine, that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _learn(asked: dict[str, Any], on_progress: OnProgress) -> None:
    from gtalk.motion.training.train import train_motion

    take = asked["take"] and Path(asked["take"])
    train_motion([Path(asked["dataset"])], Path(asked["output"]), on_progress=on_progress, device=asked["device"],
                 take=take)  # fmt: skip


def main() -> int:
    """The process beside."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it is told as well, and ends it
    asked = json.loads(sys.stdin.readline() or "null")
    if asked is None:
        return 1
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    tell = _teller()
    try:
        _learn(asked, lambda progress: tell(asdict(progress)))
    except UserError as error:
        tell({"error": {"what": error.what, "expected": error.expected, "got": error.got, "remedy": error.remedy}})
        return 2
    return 0


def _teller() -> Callable[[dict[str, Any]], None]:
    out = sys.stdout
    sys.stdout = sys.stderr  # whatever a library prints is no event

    def tell(event: dict[str, Any]) -> None:
        out.write(json.dumps(event) + "\n")
        out.flush()

    return tell


def _end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
