"""What a busy machine costs: each command alone and beside processes that never rest, wall and processor seconds.

python tools/bench/busy.py AVATAR DATASET SPEECH                 all commands, alone and beside four processes
python tools/bench/busy.py AVATAR DATASET SPEECH --only radiance --spinners 8 --json OUT

The commands: `gtalk dub` of 12 s of the speech; fits of both renderers with the presets for a CPU, over so many steps;
`gtalk motion train` with few steps; `gtalk prepare` of some seconds of the dataset's own frames. Each is a process of
its own, so the start of Python counts. Processor seconds are those of the command and all that it started. A machine
that is not quiet makes the columns "alone" too large: the load is printed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import machine

CONSENT = ("--person", "A benchmark", "--consent", "Synthetic: nobody's likeness is used.")
TRAIN = """
import sys
from dataclasses import replace
from pathlib import Path
from gtalk.motion.training.train import MotionConfig, train_motion
config = MotionConfig(validation_share=0.0)
train_motion(Path(sys.argv[1]), Path(sys.argv[2]), replace(config, fit=replace(config.fit, steps=int(sys.argv[3]))))
"""


def speech_of(path: Path, seconds: float, output: Path) -> None:
    """The first seconds of a sound, repeated where it is shorter."""
    import numpy as np

    from gtalk.media.audio import read_audio, write_wav
    from gtalk.types import AUDIO_RATE, AudioTrack

    samples = np.resize(read_audio(path).samples, round(seconds * AUDIO_RATE))
    write_wav(output, AudioTrack(samples))


def clip_of(dataset_path: Path, seconds: float, output: Path) -> None:
    """The first seconds of a dataset as a video."""
    from gtalk.dataset.format import Dataset
    from gtalk.media.audio import read_audio
    from gtalk.media.output.writer import write_video

    dataset = Dataset(dataset_path)
    count = min(dataset.n_frames, round(seconds * dataset.fps))
    sound = read_audio(dataset.audio_path)
    sound = replace(sound, samples=sound.samples[: round(count / dataset.fps * sound.sample_rate)])
    write_video(output, (dataset.frame(i) for i in range(count)), dataset.fps, sound)


def fit_config(renderer: str, steps: int, output: Path) -> None:
    """The preset for a CPU, with so many steps and no pauses for files."""
    import yaml

    from gtalk.config import to_mapping
    from gtalk.fit.run import load_config

    config = load_config(renderer, "cpu")
    trainer = replace(config.trainer, steps=steps, checkpoint_every=0, preview_every=0)
    output.write_text(yaml.safe_dump(to_mapping(replace(config, trainer=trainer))), encoding="utf-8")


def commands(args: argparse.Namespace, folder: Path) -> dict[str, list[str]]:
    """Command lines by name; what they read is made in `folder`, what they write goes to folder/out."""
    gtalk = [sys.executable, "-m", "gtalk"]
    out = folder / "out"
    found: dict[str, list[str]] = {}
    if "dub" in args.only:
        speech_of(args.speech, args.seconds, folder / "speech.wav")
        found["dub"] = [*gtalk, "dub", str(args.avatar), str(folder / "speech.wav"), "-o", str(out / "dub.mp4")]
    for renderer, steps in (("gaussian", args.gaussian_steps), ("radiance", args.radiance_steps)):
        if renderer in args.only:
            config = folder / f"{renderer}.yaml"
            fit_config(renderer, steps, config)
            found[renderer] = [*gtalk, "fit", str(args.dataset), "-o", str(out / renderer), "--renderer", renderer,
                               "--config", str(config), *CONSENT]  # fmt: skip
    if "motion" in args.only:
        found["motion"] = [
            sys.executable, "-c", TRAIN, str(args.dataset), str(out / "motion"), str(args.motion_steps)
        ]  # fmt: skip
    if "prepare" in args.only:
        clip_of(args.dataset, args.prepare_seconds, folder / "clip.mp4")
        found["prepare"] = [*gtalk, "prepare", str(folder / "clip.mp4"), "-o", str(out / "dataset")]
    return found


@contextmanager
def spinning(count: int) -> Iterator[None]:
    """So many processes that never rest, while the body runs."""
    context = multiprocessing.get_context("spawn")
    neighbours = [context.Process(target=_spin, daemon=True) for _ in range(count)]
    for neighbour in neighbours:
        neighbour.start()
    time.sleep(1.0 if neighbours else 0.0)
    try:
        yield
    finally:
        for neighbour in neighbours:
            neighbour.terminate()
            neighbour.join()


def _spin() -> None:
    while True:
        sum(range(10000))


def timed(command: list[str]) -> tuple[float, float]:
    """(wall, processor) seconds of a command. Raises RuntimeError with what it said when it fails."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def row(name: str, command: list[str], spinners: int, out: Path) -> dict[str, float | str]:
    """One command alone and in company; printed."""
    quiet, load = _once(command, out), os.getloadavg()[0]
    with spinning(spinners):
        busy = _once(command, out)
    print(
        f"{name:10s} {quiet[0]:8.1f} {quiet[1]:8.1f} {busy[0]:8.1f} {busy[1]:8.1f} "
        f"{busy[0] / quiet[0]:9.1f} {busy[1] / quiet[1]:9.2f}   {load:.1f}",
        flush=True,
    )
    return {"name": name, "alone_wall_s": quiet[0], "alone_cpu_s": quiet[1], "beside_wall_s": busy[0],
            "beside_cpu_s": busy[1], "load_alone": load}  # fmt: skip


def _once(command: list[str], out: Path) -> tuple[float, float]:
    subprocess.run(["rm", "-rf", str(out)], check=True)
    out.mkdir()
    return timed(command)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path, help="with a motion model")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--only", default="dub,gaussian,radiance,motion,prepare", help="commands, with commas between")
    parser.add_argument("--spinners", type=int, default=4, help="processes that never rest")
    parser.add_argument("--seconds", type=float, default=12.0, help="of speech to dub")
    parser.add_argument("--gaussian-steps", type=int, default=150)
    parser.add_argument("--radiance-steps", type=int, default=60)
    parser.add_argument("--motion-steps", type=int, default=60)
    parser.add_argument("--prepare-seconds", type=float, default=4.0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    args.only = args.only.split(",")
    print(machine.line())
    print(f"{'':10s} {'alone':>17s} {f'beside {args.spinners} spinning':>17s} {'ratio':>19s}   load")
    print(f"{'':10s} {'wall s':>8s} {'cpu s':>8s} {'wall s':>8s} {'cpu s':>8s} {'wall':>9s} {'cpu':>9s}   alone")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        found = commands(args, folder)
        rows = [row(name, command, args.spinners, folder / "out") for name, command in found.items()]
    if args.json is not None:
        args.json.write_text(json.dumps({"machine": machine.facts(), "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
