"""How fast an avatar is dubbed, what the encoder takes of it, and how memory grows with length.

python tools/bench_dub.py AVATAR SPEECH [--minutes 0.25 1 10] [--batch 1] [--height 512] [--json OUT]

The speech is repeated to each length. Every length runs in a process of its own, so that peak memory is
its own. Printed: x real time, share of handing pictures to the encoder, peak memory, and ratios to the
shortest length. The line "frames only" is the same without an encoder.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def measure(avatar: str, speech: str, minutes: float, batch: int, height: int | None, encode: bool) -> dict:
    """One dub in this process."""
    from gtalk.dub.config import DubConfig
    from gtalk.dub.export import picture_size, render_dub
    from gtalk.media.audio import read_audio, write_wav
    from gtalk.talk import load_performer
    from gtalk.types import AudioTrack

    performer = load_performer(Path(avatar))
    sound = read_audio(Path(speech)).samples
    wanted = round(minutes * 60 * 16_000)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "speech.wav"
        write_wav(source, AudioTrack(np.tile(sound, -(-wanted // len(sound)))[:wanted]))
        if encode:
            result = render_dub(performer, source, Path(folder) / "out.mp4", DubConfig(batch=batch, height=height))
            wall_s, encode_s, frames = result.wall_s, result.encode_s, result.n_frames
        else:
            talker = performer.talker(batch=batch, size=picture_size(performer.avatar.camera, height))
            from gtalk.media.audio import stream_audio

            start_s = time.perf_counter()
            frames = sum(1 for _ in talker.stream(stream_audio(source)))
            wall_s, encode_s = time.perf_counter() - start_s, 0.0
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "minutes": minutes, "encode": encode, "frames": frames, "x_real_time": minutes * 60 / wall_s,
        "encoder_share": encode_s / wall_s, "ms_per_frame": wall_s / frames * 1e3, "peak_rss_mb": peak_mb,
    }  # fmt: skip


def main() -> None:
    """Run each length in its own process and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar")
    parser.add_argument("speech")
    parser.add_argument("--minutes", type=float, nargs="+", default=[0.25, 1.0])
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--height", type=int)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one is not None:
        print(json.dumps(measure(args.avatar, args.speech, batch=args.batch, height=args.height, **args.one)))
        return
    rows = []
    print(f"{'what':<14}{'frames':>8}{'x real':>8}{'ms/frame':>10}{'encoder':>9}{'peak MB':>9}{'vs first':>10}")
    for job in [{"minutes": args.minutes[0], "encode": False}] + [{"minutes": m, "encode": True} for m in args.minutes]:
        command = [
            sys.executable,
            __file__,
            args.avatar,
            args.speech,
            "--batch",
            str(args.batch),
            "--one",
            json.dumps(job),
        ]
        command += ["--height", str(args.height)] if args.height else []
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        row = json.loads(output.splitlines()[-1])
        rows.append(row)
        what = f"{row['minutes']:g} min" if row["encode"] else "frames only"
        first = rows[min(1, len(rows) - 1)]["peak_rss_mb"]
        print(f"{what:<14}{row['frames']:>8}{row['x_real_time']:>8.2f}{row['ms_per_frame']:>10.2f}"
              f"{row['encoder_share']:>9.1%}{row['peak_rss_mb']:>9.0f}{row['peak_rss_mb'] / first:>10.3f}")  # fmt: skip
    if args.json:
        facts = {"machine": platform.processor() or platform.machine(), "python": platform.python_version()}
        args.json.write_text(json.dumps({**facts, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
