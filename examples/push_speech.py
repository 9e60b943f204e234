"""Pushes speech to a running `gtalk view`, as a text-to-speech engine or a chat agent would.

    python examples/push_speech.py speech.wav                       # as fast as it is taken
    python examples/push_speech.py speech.wav --real-time           # as it would come from a voice
    my_tts "hello" | python examples/push_speech.py - --rate 24000  # raw mono 16-bit little-endian, of any length
    python examples/push_speech.py speech.wav --url ws://10.0.0.5:8080/push?token=...

The protocol is described in gtalk/viewer/web/speech_api.py. Prints what the server tells; ends with the speech, with
status 3 when somebody cut in.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import wave
from collections.abc import Iterator
from typing import BinaryIO

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

PIECE_S = 0.1


def pieces(path: str, rate: int) -> tuple[int, Iterator[bytes]]:
    """(sample rate, mono 16-bit pieces) of a wav file or of stdin."""
    if path == "-":
        return rate, raw(sys.stdin.buffer, rate)
    file = wave.open(path)  # noqa: SIM115  # read as it is sent
    if (file.getnchannels(), file.getsampwidth()) != (1, 2):
        raise SystemExit(f"{path}: expected mono, 16 bits; convert it with `ffmpeg -i {path} -ac 1 out.wav`")
    size = round(file.getframerate() * PIECE_S)
    return file.getframerate(), iter(lambda: file.readframes(size), b"")


def raw(pipe: BinaryIO, rate: int) -> Iterator[bytes]:
    """Whole samples as they come."""
    rest = b""
    while data := pipe.read1(2 * round(rate * PIECE_S)):  # type: ignore[attr-defined]
        data = rest + data
        rest = data[len(data) & ~1 :]
        yield data[: len(data) & ~1]


def interrupted(socket: ClientConnection, timeout_s: float | None) -> bool | None:
    """Prints what the server tells; whether the speech was cut, None when it goes on."""
    try:
        told = json.loads(socket.recv(timeout=timeout_s))
    except TimeoutError:
        return None
    print(f"{told['state']}, {told['buffered_s']:.2f} s wait", file=sys.stderr)
    return {"ended": False, "interrupted": True}.get(told["state"])


def main() -> int:
    """Push and wait until it was said."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", help="a mono 16-bit wav file, or - for raw sound on stdin")
    parser.add_argument("--url", default="ws://127.0.0.1:8080/push")
    parser.add_argument("--rate", type=int, default=16_000, help="samples a second of raw sound")
    parser.add_argument("--real-time", action="store_true", help="send at the pace of a voice")
    args = parser.parse_args()
    rate, sound = pieces(args.speech, args.rate)
    try:
        with connect(args.url) as socket:
            socket.send(json.dumps({"do": "begin", "rate": rate}))
            due = time.monotonic()
            for piece in sound:
                socket.send(piece)
                due += len(piece) / 2 / rate
                if interrupted(socket, max(0.0, due - time.monotonic()) if args.real_time else 0.0):
                    return 3
            socket.send(json.dumps({"do": "end"}))
            while (cut := interrupted(socket, None)) is None:
                pass
            return 3 if cut else 0
    except (OSError, ConnectionClosed) as error:
        raise SystemExit(f"push_speech: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
