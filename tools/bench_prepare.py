"""Seconds of work per second of clip for every stage of `prepare`, and the memory it takes.

    python tools/bench_prepare.py CLIP [--repeat N]

`--repeat N` first joins the clip to itself N times, to see what length does. Prints wall and processor
time per second of clip, and the peak of resident memory.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from gtalk.clip.prepare import prepare
from gtalk.media.audio import read_audio
from gtalk.media.video import read_video
from gtalk.media.writer import VideoWriter
from gtalk.progress import Progress


def joined(clip: Path, times: int, folder: Path) -> Path:
    """The clip, so many times in a row."""
    reader, samples = read_video(clip), read_audio(clip, 16_000).samples
    size = (reader.size[0] // 2 * 2, reader.size[1] // 2 * 2)
    count = round(len(reader) * 16_000 / reader.fps)
    samples = np.pad(samples[:count], (0, max(0, count - len(samples))))
    path = folder / f"{clip.stem}_{times}x.mp4"
    with VideoWriter(path, size, reader.fps, 16_000) as writer:
        for picture in itertools.chain.from_iterable(reader for _ in range(times)):
            writer.write(np.ascontiguousarray(picture[: size[1], : size[0]]))
        for _ in range(times):
            writer.write_audio(samples)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--repeat", type=int, default=1)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench_prepare"))
    try:
        clip = joined(arguments.clip, arguments.repeat, folder) if arguments.repeat > 1 else arguments.clip
        marks: dict[str, float] = {}

        def note(progress: Progress) -> None:
            marks[progress.stage] = time.process_time()

        wall, cpu = time.perf_counter(), time.process_time()
        dataset = prepare([clip], folder / "dataset", on_progress=note)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        seconds = dataset.n_frames / dataset.fps
        print(f"{clip.name}: {seconds:.1f} s, {dataset.size[0]}x{dataset.size[1]}, {len(dataset.segments)} shots")
        for name, record in dataset.manifest["stages"].items():
            print(f"  {name:12s} {record['seconds']:8.1f} s   {record['seconds'] / seconds:6.3f} s per s of clip")
        print(f"  {'all':12s} {wall:8.1f} s   {wall / seconds:6.3f} s per s of clip")
        print(f"  processor    {cpu:8.1f} s   {cpu / seconds:6.3f} s per s of clip")
        print(f"  peak memory  {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:8.0f} MB")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
