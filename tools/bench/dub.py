"""How fast an avatar is dubbed, what each stage takes, how memory grows with length, whether sound and images agree.

python tools/bench/dub.py AVATAR SPEECH [SPEECH ...] [--minutes 0.25 1 10] [--height 512] [--json OUT] [--plot OUT.png]
python tools/bench/dub.py AVATAR SPEECH [SPEECH ...] --jobs 20     # a batch of short jobs: how workers scale

The speeches are joined and repeated to each length. Every length runs in a process of its own, so that its memory
is its own. Printed: x real time, milliseconds a frame of motion, drawing and encoding (which runs beside them), peak
memory and its ratio to the first length's, and by how much images and sound differ in length. The plot shows
memory over time. A busy machine makes every time an upper bound: the load is printed.

With --jobs, a batch of 4 to 6 s each is done by one worker that has one core and by two that have two. Both times are
of the whole command, so the start of Python, the imports and the loading of the avatar count. The third time is one
worker's that has both cores: it draws and encodes beside each other.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path
from typing import Any

import machine
import numpy as np

_SAMPLE_EVERY_S = 1.0  # of memory


def write_repeated(speeches: list[str], minutes: float, path: Path) -> None:
    """All speeches in a row, again and again, as a wav file; in pieces, so that this costs no memory."""
    from gtalk.media.audio import read_audio

    once = np.concatenate([read_audio(Path(speech)).samples for speech in speeches])
    data = np.clip(np.rint(once * 32768), -32768, 32767).astype("<i2").tobytes()
    left = 2 * round(minutes * 60 * 16_000)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        while left > 0:
            file.writeframes(data[:left])
            left -= len(data)


def measure(args: argparse.Namespace, minutes: float) -> dict[str, Any]:
    """One dub in this process."""
    import torch

    from gtalk.dub.config import DubConfig
    from gtalk.dub.render import render_dub
    from gtalk.talk import load_character

    if args.threads:
        torch.set_num_threads(args.threads)
    character = load_character(Path(args.avatar))
    config = DubConfig(batch=args.batch, height=args.height, codec=args.codec)
    memory: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "speech.wav"
        write_repeated(args.speech, minutes, source)
        started_s = time.perf_counter()

        def watch(progress: object) -> None:
            del progress
            now_s = time.perf_counter() - started_s
            if not memory or now_s - memory[-1][0] > _SAMPLE_EVERY_S:
                memory.append((now_s, resident_mb()))

        result = render_dub(character, source, Path(folder) / f"out{args.suffix}", config, watch)
        lengths = stream_lengths_s(result.output)
    frames = result.n_frames
    return {
        "minutes": minutes, "frames": frames, "x_real_time": result.speed, "wall_s": result.wall_s,
        "motion_ms": result.motion_s / frames * 1e3, "draw_ms": result.draw_s / frames * 1e3,
        "encode_ms": result.encode_s / frames * 1e3, "load": os.getloadavg()[0],
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "samples_lost": round(minutes * 60 * 16_000) - result.n_samples,
        "video_minus_sound_s": lengths[0] - lengths[1], "memory": memory,
    }  # fmt: skip


def resident_mb() -> float:
    """Memory of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def stream_lengths_s(path: Path) -> tuple[float, float]:
    """Seconds of images and of sound, as the finished file says."""
    import av

    with av.open(str(path)) as file:
        video, audio = file.streams.video[0], file.streams.audio[0]
        lengths = [float((stream.duration or 0) * (stream.time_base or 0)) for stream in (video, audio)]
    return lengths[0], lengths[1]


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Memory over the share of the job that is done, a line for each length."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4))
    for row in rows:
        times, sizes = np.array(row["memory"]).T
        axes.plot(times / times[-1] * 100, sizes, label=f"{row['minutes']:g} min")
    axes.set_xlabel("% of the job")
    axes.set_ylabel("resident memory, MB")
    axes.set_ylim(bottom=0)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def write_jobs(avatar: Path, speeches: list[str], count: int, folder: Path) -> tuple[Path, float]:
    """A jobs file with `count` pieces of the speeches, and their length together in seconds."""
    from gtalk.media.audio import read_audio, write_wav
    from gtalk.types import AUDIO_RATE, AudioTrack

    sound = np.concatenate([read_audio(Path(speech)).samples for speech in speeches])
    lengths_s = np.linspace(4.0, 6.0, count)[np.random.default_rng(0).permutation(count)]
    lines = []
    for i, length_s in enumerate(lengths_s):
        piece = np.take(sound, np.arange(round(length_s * AUDIO_RATE)) + i * 3 * AUDIO_RATE, mode="wrap")
        write_wav(folder / f"{i}.wav", AudioTrack(piece))
        lines.append(json.dumps({"avatar": str(avatar.resolve()), "audio": f"{i}.wav", "output": f"{i}.mp4"}))
    (folder / "jobs.jsonl").write_text("\n".join(lines))
    return folder / "jobs.jsonl", float(lengths_s.sum())


def children_s() -> float:
    """Processor time of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def bench_batch(args: argparse.Namespace) -> list[dict[str, Any]]:
    """The same batch by one worker and by two; prints times and ratio."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise SystemExit("two cores are needed to see how workers scale")
    rows: list[dict[str, Any]] = []
    print(
        f"{args.jobs} jobs of 4 to 6 s\n{'workers':>7}{'cores':>7}{'wall, s':>9}{'work, s':>9}{'x real':>8}{'load':>6}"
    )
    for workers, cores in ((1, 1), (2, 2), (1, 2)):
        with tempfile.TemporaryDirectory() as folder:
            jobs, total_s = write_jobs(Path(args.avatar), args.speech, args.jobs, Path(folder))
            command = [sys.executable, "-m", "gtalk", "batch", str(jobs), "--workers", str(workers)]
            os.sched_setaffinity(0, allowed[:cores])  # what is started inherits it
            start_s, spent_s = time.perf_counter(), children_s()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wall_s = time.perf_counter() - start_s
            os.sched_setaffinity(0, allowed)
        work_s = children_s() - spent_s
        rows.append({"workers": workers, "cores": cores, "wall_s": wall_s, "work_s": work_s,
                     "x_real_time": total_s / wall_s, "load": os.getloadavg()[0]})  # fmt: skip
        print(
            f"{workers:>7}{cores:>7}{wall_s:>9.1f}{work_s:>9.1f}{total_s / wall_s:>8.2f}{rows[-1]['load']:>6.1f}",
            flush=True,
        )
    one, two, wide = (row["wall_s"] for row in rows)
    print(f"two workers against one, a core each: {one / two:.2f}x; against one that has both cores: {wide / two:.2f}x")
    return rows


def main() -> None:
    """Run each length in its own process and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar")
    parser.add_argument("speech", nargs="+")
    parser.add_argument("--minutes", type=float, nargs="+", default=[0.25, 1.0])
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--height", type=int)
    parser.add_argument("--threads", type=int, help="of torch; as many as cores by default")
    parser.add_argument("--codec", default="auto")
    parser.add_argument("--suffix", default=".mp4")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--jobs", type=int, help="a batch of so many short jobs instead")
    parser.add_argument("--one", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one is not None:
        print(json.dumps(measure(args, args.one)))
        return
    print(machine.line())
    if args.jobs:
        save(args, bench_batch(args))
        return
    rows: list[dict[str, Any]] = []
    print(f"{'length':<9}{'frames':>8}{'x real':>8}{'motion':>8}{'draw':>8}{'encode':>8}{'ms a frame':>11}"
          f"{'peak MB':>9}{'vs first':>9}{'lost':>6}{'V-A, s':>9}{'load':>6}")  # fmt: skip
    for minutes in args.minutes:
        command = [sys.executable, __file__, *sys.argv[1:], "--one", str(minutes)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        rows.append(row := json.loads(output.splitlines()[-1]))
        print(f"{minutes:<5g}min {row['frames']:>8}{row['x_real_time']:>8.2f}{row['motion_ms']:>8.2f}"
              f"{row['draw_ms']:>8.2f}{row['encode_ms']:>8.2f}{row['wall_s'] / row['frames'] * 1e3:>11.2f}"
              f"{row['peak_rss_mb']:>9.0f}{row['peak_rss_mb'] / rows[0]['peak_rss_mb']:>9.3f}{row['samples_lost']:>6}"
              f"{row['video_minus_sound_s']:>9.4f}{row['load']:>6.1f}", flush=True)  # fmt: skip
    save(args, rows)
    if args.plot:
        plot(rows, args.plot)


def save(args: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    """Write the figures as JSON, where that was asked for."""
    if args.json:
        args.json.write_text(json.dumps({**machine.facts(), "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
