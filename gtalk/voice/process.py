"""The program `native.py`, started when it is first asked, and again after it died."""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Any

from gtalk.errors import UserError
from gtalk.voice import native

_PATIENCE_S = 20.0


class NativeSpeech:
    """One synthesiser in a process of its own. It says one text at a time; thread-safe.

    Args:
        engine: espeak, or piper and the path of its voice.
        patience_s: how long one text may take.
    """

    def __init__(self, *engine: str, patience_s: float = _PATIENCE_S) -> None:
        self._engine, self._patience_s = engine, patience_s
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        atexit.register(self.close)

    def ask(self, question: dict[str, Any] | None = None) -> tuple[dict[str, Any], bytes]:
        """Its answer, as `native` writes it, and the samples; without a question, whether it is ready.

        Raises UserError when the process dies of it or does not answer in time.
        """
        with self._lock:
            process = self._process
            begun = process is None or process.poll() is not None
            if begun:
                process = self._process = self._start()
            assert process is not None
            watch = threading.Timer(self._patience_s, process.kill)
            watch.start()
            try:
                ready = _answer(process) if begun else ({"ready": True}, b"")
                if question is None or "error" in ready[0]:
                    return ready
                _put(process, question)
                return _answer(process)
            except (OSError, EOFError, ValueError) as error:
                with suppress(subprocess.TimeoutExpired):  # it is dying by itself, mostly
                    process.wait(1.0)
                process.kill()
                status = process.wait()
                raise UserError(
                    "speech",
                    expected=f"a text that {self._engine[0]} can say",
                    got=f"the end of its process ({'signal' if status < 0 else 'status'} {abs(status)})",
                    remedy="Say it in other words, or choose another voice.",
                ) from error
            finally:
                watch.cancel()

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    @property
    def pid(self) -> int | None:
        """Of the process; None where none runs."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def _start(self) -> subprocess.Popen[bytes]:
        # By its path and without the folder that this runs in: only what is installed is imported.
        command = [sys.executable, "-P", native.__file__, *self._engine]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _put(process: subprocess.Popen[bytes], question: dict[str, Any]) -> None:
    assert process.stdin is not None
    words = json.dumps(question).encode()
    process.stdin.write(native.LENGTH.pack(len(words)) + words)
    process.stdin.flush()


def _answer(process: subprocess.Popen[bytes]) -> tuple[dict[str, Any], bytes]:
    facts = json.loads(_read(process, native.LENGTH.unpack(_read(process, native.LENGTH.size))[0]))
    return facts, _read(process, facts.get("bytes", 0))


def _read(process: subprocess.Popen[bytes], count: int) -> bytes:
    assert process.stdout is not None
    data = process.stdout.read(count)
    if len(data) < count:
        raise EOFError
    return data
