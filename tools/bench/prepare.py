"""Seconds of work per second of clip for every stage of `prepare`, and the memory it takes.

    python tools/bench/prepare.py CLIP [--repeat N] [--canvas WIDTH HEIGHT] [--image MEMORY.png] [--keep FOLDER]
                                       [--json OUT]

`--repeat N` first joins the clip to itself N times, to see what length does; `--canvas 1920 1080` enlarges it
on the way and continues its rims to the sides, which gives a camera's images with a real face in them.
Prints wall and processor time per second of clip for each stage, and resident memory: its peak in each stage,
and, with `--image`, over time.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import av
import cv2
import machine
import numpy as np

from gtalk.dataset.format import Dataset
from gtalk.media.audio import read_audio
from gtalk.media.output.writer import VideoWriter
from gtalk.media.video import read_video
from gtalk.prepare.pipeline import prepare
from gtalk.progress import Progress

SAMPLE_S = 0.25
WIDTH, HEIGHT, EDGE = 1100, 420, 60
INK, LINE, RULE = (40, 40, 40), (190, 90, 30), (215, 215, 215)


@dataclass
class MemoryLog:
    """Resident memory of this process, looked at every SAMPLE_S seconds while the block runs."""

    stage: str = ""
    times_s: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    stages: list[str] = field(default_factory=list)

    def __enter__(self) -> MemoryLog:
        self._stop, start = threading.Event(), time.perf_counter()

        def watch() -> None:
            while True:
                self.times_s.append(time.perf_counter() - start)
                self.megabytes.append(resident_mb())
                self.stages.append(self.stage)
                if self._stop.wait(SAMPLE_S):
                    return

        self._thread = threading.Thread(target=watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def note(self, progress: Progress) -> None:
        """A listener for `prepare`."""
        self.stage = progress.stage.split()[0]

    def image(self) -> np.ndarray:
        """The curve, uint8 [H,W,3] BGR."""
        canvas = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
        top = max(1000.0, 500.0 * np.ceil(max(self.megabytes) / 500.0))
        end_s = max(self.times_s[-1], 1e-3)
        x = EDGE + np.array(self.times_s) / end_s * (WIDTH - 2 * EDGE)
        y = HEIGHT - EDGE - np.array(self.megabytes) / top * (HEIGHT - 2 * EDGE)
        for level in np.arange(0.0, top + 1, 500.0):
            row = round(HEIGHT - EDGE - level / top * (HEIGHT - 2 * EDGE))
            cv2.line(canvas, (EDGE, row), (WIDTH - EDGE, row), RULE, 1)
            _write(canvas, f"{level:.0f}", 12, row + 4)
        for i in range(len(x)):
            if i == 0 or self.stages[i] != self.stages[i - 1]:
                cv2.line(canvas, (round(x[i]), EDGE - 18), (round(x[i]), HEIGHT - EDGE), RULE, 1)
                _write(canvas, self.stages[i], round(x[i]) + 3, EDGE - 24 + 14 * (i % 2))
        cv2.polylines(canvas, [np.rint(np.stack([x, y], axis=1)).astype(np.int32)], False, LINE, 2, cv2.LINE_AA)
        _write(canvas, "resident memory, MB", 12, 20)
        _write(canvas, f"{end_s:.0f} s", WIDTH - EDGE - 20, HEIGHT - EDGE + 24)
        return canvas


def _write(canvas: np.ndarray, text: str, x: int, y: int) -> None:
    cv2.putText(canvas, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.42, INK, 1, cv2.LINE_AA)


def resident_mb() -> float:
    """Resident memory of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def joined(clip: Path, times: int, canvas: tuple[int, int] | None, folder: Path) -> Path:
    """The clip, so many times in a row, in images as large as wanted."""
    reader, samples = read_video(clip), read_audio(clip, 16_000).samples
    if canvas is not None:
        reader = reader.scaled(min(canvas[0] / reader.info.width, canvas[1] / reader.info.height))
    size = canvas or (reader.size[0] // 2 * 2, reader.size[1] // 2 * 2)
    count = round(len(reader) * 16_000 / reader.fps)
    once = folder / f"{clip.stem}_{size[0]}x{size[1]}.mp4"
    with VideoWriter(once, size, reader.fps, 16_000) as writer:
        for image in reader:
            right, below = (max(0, size[i] - image.shape[1 - i]) for i in (0, 1))
            left, above = right // 2, below // 2
            rims = above, below - above, left, right - left
            writer.write(cv2.copyMakeBorder(image[: size[1], : size[0]], *rims, cv2.BORDER_REPLICATE))
        writer.write_audio(np.pad(samples[:count], (0, max(0, count - len(samples)))))
    return repeat(once, times, len(reader) / reader.fps, folder / f"{once.stem}_{times}x.mp4")


def repeat(clip: Path, times: int, seconds: float, output: Path) -> Path:
    """The packets of a file of so many seconds, again and again: nothing is encoded anew."""
    with av.open(str(clip)) as source, av.open(str(output), "w") as target:
        copies = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        last = dict.fromkeys(copies, -math.inf)
        for turn in range(times):
            source.seek(0)
            for packet in source.demux():
                number, base = packet.stream.index, packet.stream.time_base
                if packet.dts is None or packet.pts is None or base is None:
                    continue
                shift = round(turn * seconds / base)
                packet.dts, packet.pts = packet.dts + shift, packet.pts + shift
                if packet.dts > last[number]:  # the sound's last packet reaches into the next turn
                    last[number] = packet.dts
                    packet.stream = copies[number]
                    target.mux(packet)
    return output


def _print_table(dataset: Dataset, wall_s: float, log: MemoryLog) -> None:
    seconds = dataset.n_frames / dataset.fps
    print(f"{seconds:.1f} s, {dataset.size[0]}x{dataset.size[1]}, {len(dataset.segments)} shots")
    print(f"  {'stage':12s} {'wall s':>8s} {'per clip s':>11s} {'processor s':>12s} {'per clip s':>11s}")
    total = 0.0
    for name, record in dataset.manifest["stages"].items():
        wall, cpu = record["seconds"], record["processor_seconds"]
        total += cpu
        print(f"  {name:12s} {wall:8.1f} {wall / seconds:11.3f} {cpu:12.1f} {cpu / seconds:11.3f}")
    print(f"  {'all':12s} {wall_s:8.1f} {wall_s / seconds:11.3f} {total:12.1f} {total / seconds:11.3f}")
    peaks: dict[str, float] = {}
    for stage, value in zip(log.stages, log.megabytes, strict=True):
        peaks[stage] = max(value, peaks.get(stage, 0.0))
    print("  peak memory, MB: " + ", ".join(f"{name or 'start'} {peak:.0f}" for name, peak in peaks.items()))
    print(f"  load of the machine {os.getloadavg()[0]:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--canvas", type=int, nargs=2)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--keep", type=Path, help="where the dataset goes; thrown away otherwise")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench_prepare"))
    try:
        canvas = tuple(options.canvas) if options.canvas else None
        changed = options.repeat > 1 or canvas is not None
        clip = joined(options.clip, options.repeat, canvas, folder) if changed else options.clip
        print(f"{machine.line()}\n{clip.name}")
        start = time.perf_counter()
        with MemoryLog() as log:
            dataset = prepare([clip], options.keep or folder / "dataset", on_progress=log.note)
        wall_s = time.perf_counter() - start
        _print_table(dataset, wall_s, log)
        if options.json is not None:
            found = {"seconds": dataset.n_frames / dataset.fps, "wall_s": wall_s, "peak_rss_mb": max(log.megabytes)}
            options.json.write_text(json.dumps({**machine.facts(), **found}, indent=2) + "\n")
        if options.image is not None:
            cv2.imwrite(str(options.image), log.image())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
