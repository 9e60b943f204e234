"""Jobs through `gtalk serve` against the same jobs through `gtalk batch`, one after the other, in turns.

    python tools/bench/talk/serve.py AVATAR [--jobs 20] [--seconds 2] [--turns 2]

Prints the wall time of both and their ratio. The server's workers are fresh, as the batch's are.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from gtalk.dub.batch.run import run_batch
from gtalk.media.audio import write_wav
from gtalk.serve.config import ServeConfig
from gtalk.serve.server import Serving
from gtalk.types import AUDIO_RATE, AudioTrack
from gtalk.voice.synthesis import speak


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--turns", type=int, default=2)
    options = parser.parse_args()
    speech = speak("One, two, three: this is how it is said, and this is how long it takes to say it once more.")
    sound = np.resize(speech, round(options.seconds * AUDIO_RATE))
    print(f"load {os.getloadavg()[0]:.1f}; {options.jobs} jobs of {options.seconds:g} s")
    ratios = []
    for _ in range(options.turns):
        with tempfile.TemporaryDirectory() as folder:
            write_wav(Path(folder) / "s.wav", AudioTrack(sound))
            batch_s = by_batch(options.avatar, Path(folder), options.jobs)
            serve_s = by_server(options.avatar, Path(folder), options.jobs)
        ratios.append(serve_s / batch_s)
        print(f"batch {batch_s:.1f} s, server {serve_s:.1f} s, ratio {ratios[-1]:.3f}", flush=True)
    print(f"mean ratio {np.mean(ratios):.3f}")


def by_batch(avatar: Path, folder: Path, count: int) -> float:
    """Seconds of a batch."""
    lines = [{"avatar": str(avatar.resolve()), "audio": "s.wav", "output": f"{i}.mp4"} for i in range(count)]
    (folder / "jobs.jsonl").write_text("\n".join(map(json.dumps, lines)))
    begin_s = time.perf_counter()
    result = run_batch(folder / "jobs.jsonl")
    assert not result.n_failed, result.table()
    return time.perf_counter() - begin_s


def by_server(avatar: Path, folder: Path, count: int) -> float:
    """Seconds from the first wish to the last result."""
    serving = Serving([avatar], ServeConfig(port=0, jobs=folder / "serve"))
    serving.start()
    try:
        client = http.client.HTTPConnection("127.0.0.1", int(serving.url.rpartition(":")[2].partition("/")[0]))

        def ask(method: str, path: str, body: bytes | None = None) -> dict:
            client.request(method, path, body)
            return json.loads(client.getresponse().read())

        file = ask("POST", "/v1/files?name=s.wav", (folder / "s.wav").read_bytes())["file"]
        begin_s = time.perf_counter()
        name = avatar.resolve().name
        for _ in range(count):
            ask("POST", f"/v1/avatars/{name}/dubs", json.dumps({"audio": file}).encode())
        while (left := [j for j in ask("GET", "/v1/jobs")["jobs"] if j["state"] != "done"]) and time.sleep(0.1) is None:
            assert all(j["state"] != "failed" for j in left), left
        return time.perf_counter() - begin_s
    finally:
        serving.stop()


if __name__ == "__main__":
    main()
