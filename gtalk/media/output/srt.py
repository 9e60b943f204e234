"""MPEG-TS to an SRT server by the system's ffmpeg: the FFmpeg in PyAV's wheel speaks no SRT."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from contextlib import suppress

import av
from av.error import ProtocolNotFoundError

from gtalk.errors import UserError


def has_srt() -> bool:
    """Whether PyAV's own FFmpeg speaks it."""
    try:
        av.open("srt://127.0.0.1:1?mode=caller&connect_timeout=1", "r", timeout=0.1).close()
    except ProtocolNotFoundError:
        return False
    except (av.FFmpegError, OSError):
        return True
    return True


class SrtPipe:
    """A file to write to, the other end of which is an SRT connection. Raises UserError where there is no ffmpeg."""

    def __init__(self, url: str) -> None:
        program = shutil.which("ffmpeg")
        if program is None:
            raise UserError("srt://", expected="an FFmpeg that speaks SRT", got="PyAV's, which does not, and no other",
                            remedy="Install the program ffmpeg (Debian: apt install ffmpeg), or push by rtmp://."
                            )  # fmt: skip
        self._words = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the pipe
        url += "" if "pkt_size=" in url else ("&" if "?" in url else "?") + "pkt_size=1316"
        # As data: the bytes go through as they are, at once.
        command = [program, "-hide_banner", "-loglevel", "error", "-fflags", "nobuffer", "-f", "data", "-i", "pipe:0"]
        self._process = subprocess.Popen(
            [*command, "-map", "0", "-c", "copy", "-flush_packets", "1", "-f", "data", url],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._words,
        )  # fmt: skip

    def write(self, data: bytes) -> int:
        """Send it. Raises OSError where the connection is none."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except OSError as error:
            raise OSError(self._why()) from error
        return len(data)

    def close(self) -> None:
        """Send what waits, for a moment."""
        with suppress(OSError):
            self._process.communicate(timeout=3)
        with suppress(Exception):
            self._process.kill()
            self._process.wait(timeout=3)
        self._words.close()

    def _why(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
        self._words.seek(0)
        lines = self._words.read().decode(errors="replace").strip().splitlines()
        return lines[-1].rpartition(": ")[2] if lines else "the connection ended"
