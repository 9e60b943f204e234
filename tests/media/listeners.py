"""A server for one sender of RTMP or SRT: FFmpeg listens, in a process of its own, and notes what came."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from contextlib import suppress

_LISTEN = """
import json, sys
import av, numpy as np
url, most_s = sys.argv[1], float(sys.argv[2])
options = {"listen": "1"} if url.startswith("rtmp") else {}
seen = {"pictures": [], "sound": [], "level": [], "last": None}
source = url
if url.startswith("srt"):  # which PyAV's wheel does not speak
    import subprocess
    command = ["ffmpeg", "-loglevel", "error", "-f", "data", "-i", url, "-map", "0", "-c", "copy", "-f", "data", "-"]
    source = subprocess.Popen(command, stdout=subprocess.PIPE).stdout
print("listening", flush=True)
with av.open(source, options=options, timeout=(60, 20)) as file:
    form = [(s.type, s.codec_context.name) for s in file.streams]
    try:
        for frame in file.decode():
            if isinstance(frame, av.VideoFrame):
                seen["pictures"].append(frame.time)
                seen["last"] = [frame.width, frame.height, float(frame.to_ndarray(format="rgb24").std())]
            else:
                seen["sound"].append(frame.time)
                seen["level"].append(float(np.abs(frame.to_ndarray()).max()))
            if max(len(seen["pictures"]) / 25, 0) >= most_s:
                break
    except av.FFmpegError as error:
        seen["error"] = str(error)
print(json.dumps(seen | {"form": form}), flush=True)
"""


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Listening:
    """Waits for a sender; takes `seconds` of pictures, or what comes until the sender ends."""

    def __init__(self, scheme: str, seconds: float = 1e9, port: int | None = None) -> None:
        self.port = port or free_port(socket.SOCK_DGRAM if scheme == "srt" else socket.SOCK_STREAM)
        self.url = f"{scheme}://127.0.0.1:{self.port}" + ("" if scheme == "srt" else "/live/secret-key")
        inner = self.url + ("?mode=listener" if scheme == "srt" else "")
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LISTEN, inner, str(seconds)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None and self._process.stdout.readline() == "listening\n"

    def seen(self) -> dict:
        """What came, once it is over."""
        out, _ = self._process.communicate(timeout=90)
        return json.loads(out.strip().splitlines()[-1])

    def stall(self) -> None:
        """Read no more, without a word."""
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
