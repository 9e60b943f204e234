"""A sound file that a visitor sent: decoded as it is played, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import numpy as np

import gtalk
from gtalk.errors import UserError
from gtalk.media import decode
from gtalk.shapes import Float
from gtalk.types import AUDIO_RATE
from gtalk.viewer.audio.sources import PushSource

_AHEAD_S = 2.0
_PIECE_BYTES = 4 * AUDIO_RATE // 10
_LOOK_S = 0.02
_FIRST_S = 30.0  # until the first sample; a file that takes longer is not one to play


class StrangersFile:
    """An AudioSource. Raises UserError when the file holds no sound, or its decoder dies of it.

    Args:
        path: the file.
        name: what it is called, for people.
    """

    audible = True

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        home = os.pathsep.join(filter(None, [str(Path(gtalk.__file__).parents[1]), os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [sys.executable, "-P", decode.__file__, str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": home},
        )  # fmt: skip
        self._source = PushSource(name, audible=True, bounded=False, limit_s=_AHEAD_S)
        weakref.finalize(self, self._process.kill)  # whoever played it let go
        threading.Thread(target=_fill, args=(self._process, self._source), name="gtalk-decoder", daemon=True).start()
        self._source.wait(1, _FIRST_S)
        if not self._source.buffered_s:
            self._process.kill()
            assert self._process.stderr is not None
            words = self._process.stderr.read(2000).decode("utf-8", "replace")
            raise UserError(f"file {name}", expected="sound that can be played",
                            got=words or f"an end of its decoder (status {self._process.wait()})",
                            remedy="Convert it to WAV.")  # fmt: skip

    @property
    def buffered_s(self) -> float:
        """Seconds of sound that wait."""
        return self._source.buffered_s

    def read(self, count: int) -> Float[np.ndarray, " N"] | None:
        """See AudioSource."""
        return self._source.read(count)


def _fill(process: subprocess.Popen[bytes], source: PushSource) -> None:
    assert process.stdout is not None
    while data := process.stdout.read(_PIECE_BYTES):
        source.push(np.frombuffer(data[: len(data) // 4 * 4], "<f4"))
        while source.full and process.poll() is None:
            time.sleep(_LOOK_S)
    source.close()
    process.wait()
