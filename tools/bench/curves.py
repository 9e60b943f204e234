"""How time and memory grow: curves of frame time, of preparation and of dubbing, as one image.

    python tools/bench/curves.py --gaussian AVATAR --radiance AVATAR --plot curves.png [--json OUT]
    python tools/bench/curves.py --prepare CLIP [--repeat 1,2,4] --plot prepare.png
    python tools/bench/curves.py --dub AVATAR SPEECH [--minutes 0.25,1,2] --plot dub.png

Frame time, one frame at a time through the Talker: against the number of Gaussians (the avatar's own, a share of them
left out at random), against samples along a ray (the radiance field's step made longer or shorter), and against the
image's height. Preparation against the clip's length (`prepare.py`), dubbing against the sound's
(`dub.py`): wall seconds and peak memory, each length in a process of its own. A busy machine makes every time an
upper bound.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import machine
import numpy as np
import torch
from frame import frame_times_ms, synthetic_motion

from gtalk.avatar.base import Avatar
from gtalk.avatar.bundle import load_avatar
from gtalk.avatar.gaussian import GaussianAvatar
from gtalk.avatar.radiance import RadianceAvatar
from gtalk.config import to_mapping
from gtalk.talk import Talker, View

SHARES = (0.125, 0.25, 0.5, 0.75, 1.0)  # of the Gaussians
STEPS = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0)  # of the avatar's own step along a ray
HEIGHTS = (128, 256, 384, 512, 768)
FRAMES, MOST_S = 60, 3.0  # of one point of a curve

Curve = dict[str, list[float]]


def thinned(avatar: GaussianAvatar, share: float) -> GaussianAvatar:
    """The avatar with a share of each group's Gaussians, chosen at random."""
    own, rng = dict(avatar.learned), torch.Generator().manual_seed(0)
    split = len(own["face"])
    face, rest = (
        torch.randperm(count, generator=rng)[: max(1, round(share * count))].sort().values
        for count in (split, len(own["rest"]))
    )
    own["base"] = own["base"][torch.cat([face, split + rest])]
    own["face"], own["rest"] = own["face"][face], own["rest"][rest]
    config = to_mapping(avatar.config)
    return GaussianAvatar.from_parts(config, avatar.parts, own)


def stepped(avatar: RadianceAvatar, factor: float) -> RadianceAvatar:
    """The avatar with steps along rays so many times as long, and as many fewer of them at most."""
    head = avatar.config.head
    head = replace(head, step_m=head.step_m * factor, max_samples=max(1, round(head.max_samples / factor)))
    config = to_mapping(replace(avatar.config, head=head))
    return RadianceAvatar.from_parts(config, avatar.parts, avatar.learned)


def frame_ms(avatar: Avatar, height: int | None = None) -> tuple[float, float, float]:
    """Median and 95th percentile of the wall time, median of the drawing thread's processor time."""
    camera = avatar.camera
    size = None if height is None else (round(camera.width * height / camera.height), height)
    talker = Talker(avatar, None, view=View(size=size))
    wall, busy = frame_times_ms(talker, [synthetic_motion(avatar, FRAMES)], FRAMES, MOST_S)
    return float(np.percentile(wall, 50)), float(np.percentile(wall, 95)), float(np.percentile(busy, 50))


def frame_curves(folders: list[Path], threads: int) -> dict[str, Curve]:
    """By what is on the x axis and the kind of avatar."""
    torch.set_num_threads(threads)
    curves: dict[str, Curve] = {}
    for avatar in map(load_avatar, folders):
        if isinstance(avatar, GaussianAvatar):
            parts = [thinned(avatar, share) for share in SHARES]
            counts = [float(len(part.tensors()["base"])) for part in parts]
            curves["Gaussians: gaussian"] = curve(counts, [frame_ms(part) for part in parts])
        elif isinstance(avatar, RadianceAvatar):
            per_cm = [0.01 / (avatar.config.head.step_m * factor) for factor in STEPS]
            times = [frame_ms(stepped(avatar, factor)) for factor in STEPS]
            curves["samples per cm of a ray: radiance"] = curve(per_cm, times)
        times = [frame_ms(avatar, height) for height in HEIGHTS]
        curves[f"height of the image, px: {avatar.kind}"] = curve([float(h) for h in HEIGHTS], times)
    return curves


def curve(x: list[float], times: list[tuple[float, float, float]]) -> Curve:
    """A curve of frame times."""
    median, high, busy = (list(values) for values in zip(*times, strict=True))
    return {"x": x, "median, ms a frame": median, "95th percentile": high, "the drawing thread's processor time": busy}


def length_curves(rows: list[dict], name: str) -> dict[str, Curve]:
    """Wall seconds and peak memory against seconds of clip or sound."""
    x = [row["seconds"] for row in rows]
    return {
        f"seconds: {name}, time": {"x": x, "wall seconds": [row["wall_s"] for row in rows]},
        f"seconds: {name}, memory": {"x": x, "peak resident MB": [row["peak_rss_mb"] for row in rows]},
    }


def prepare_rows(clip: Path, repeats: list[int]) -> list[dict]:
    """`prepare.py` for each length."""
    return [told("prepare.py", str(clip), "--repeat", str(n)) for n in repeats]


def dub_rows(avatar: str, speech: str, minutes: list[float]) -> list[dict]:
    """`dub.py` for all lengths."""
    rows = told("dub.py", avatar, speech, "--minutes", *map(str, minutes))["rows"]
    return [row | {"seconds": 60.0 * length} for row, length in zip(rows, minutes, strict=True)]


def told(tool: str, *arguments: str) -> dict:
    """What another benchmark writes as JSON; what it prints is shown."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.json"
        command = [sys.executable, str(Path(__file__).parent / tool), *arguments, "--json", str(path)]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
        return json.loads(path.read_text())


def table(curves: dict[str, Curve]) -> str:
    """The curves as text."""
    lines = []
    for name, values in curves.items():
        lines.append(name)
        for label, numbers in values.items():
            lines.append(f"  {label:<36}" + "".join(f"{number:>11.4g}" for number in numbers))
    return "\n".join(lines)


def plot(curves: dict[str, Curve], path: Path) -> None:
    """A panel for each curve, from zero up, and what it was measured on."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = min(2, len(curves))
    rows = -(-len(curves) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(5.5 * columns, 3.2 * rows), squeeze=False)
    for axis, (name, values) in zip(axes.flat, curves.items(), strict=False):
        below, _, title = name.partition(": ")
        lines = [(label, numbers) for label, numbers in values.items() if label != "x"]
        for number, (label, numbers) in enumerate(lines):
            axis.plot(values["x"], numbers, "o-" if number == 0 else "o:", label=label, color=f"C{number}")
        axis.set(title=title, xlabel=below, ylabel=lines[0][0].rpartition(", ")[2], xlim=(0, None), ylim=(0, None))
        axis.grid(alpha=0.3)
        if len(lines) > 1:
            axis.legend()
    for axis in axes.flat[len(curves) :]:
        axis.axis("off")
    figure.suptitle(machine.line(), fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure what was asked for, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gaussian", type=Path, metavar="AVATAR")
    parser.add_argument("--radiance", type=Path, metavar="AVATAR")
    parser.add_argument("--threads", type=int, default=1, help="for frames")
    parser.add_argument("--prepare", type=Path, metavar="CLIP")
    parser.add_argument("--repeat", default="1,2,4", help="how often the clip is joined to itself")
    parser.add_argument("--dub", nargs=2, metavar=("AVATAR", "SPEECH"))
    parser.add_argument("--minutes", default="0.25,1,2", help="lengths of a dub")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    print(machine.line(), flush=True)
    curves = frame_curves([folder for folder in (given.gaussian, given.radiance) if folder], given.threads)
    if given.prepare:
        curves |= length_curves(prepare_rows(given.prepare, [int(n) for n in given.repeat.split(",")]), "prepare")
    if given.dub:
        avatar, speech = given.dub
        curves |= length_curves(dub_rows(avatar, speech, [float(n) for n in given.minutes.split(",")]), "dub")
    if not curves:
        parser.error("nothing to measure")
    print(table(curves))
    if given.json:
        given.json.write_text(json.dumps({"machine": machine.facts(), "curves": curves}, indent=2) + "\n")
    if given.plot:
        plot(curves, given.plot)


if __name__ == "__main__":
    main()
