"""What `robustness.py` breaks: a small person, the commands that run on it, and how results are compared."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

import av  # noqa: E402
import cv2  # noqa: E402
import numpy as np  # noqa: E402

from gtalk.dataset.validate import STAGES  # noqa: E402
from gtalk.media.audio import read_audio, write_wav  # noqa: E402
from gtalk.media.output.writer import write_video  # noqa: E402
from gtalk.media.video import read_video  # noqa: E402
from gtalk.types import AudioTrack  # noqa: E402
from tests.support.synthetic_dataset import make_synthetic_dataset  # noqa: E402
from tests.support.toys import speech_like  # noqa: E402

TOO_LONG_S = 3600.0  # on a machine that is busy with other things
CLIP_FRAMES, CLIP_SIZE = 100, 160
CONFIG = "avatar: {count: 300}\ntrainer: {size: 40, steps: 150, preview_every: 0, checkpoint_every: 25}\n"
MOTION = """
import dataclasses, sys
from pathlib import Path
import torch
from gtalk.motion.training.train import train_motion
from tests.motion.talking import SMALL
torch.set_num_threads(1)
config = dataclasses.replace(SMALL, fit=dataclasses.replace(SMALL.fit, steps=40, check_every=20))
train_motion([Path(sys.argv[1])], Path(sys.argv[2]), config)
"""


@dataclass
class Row:
    """One line of the table."""

    fault: str
    tries: int
    held: int
    what: str


class Workspace:
    """A folder with everything a run needs, and the commands."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.rng = folder, random.Random(seed)
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        self.dataset, self.sound, self.clip = folder / "ds", folder / "speech.wav", folder / "me.mp4"
        write_clip(self.clip)
        make_synthetic_dataset(self.dataset, n_frames=300, size=40)
        manifest = json.loads((self.dataset / "manifest.json").read_text())
        manifest["stages"] = {name: {} for name in STAGES}
        (self.dataset / "manifest.json").write_text(json.dumps(manifest))
        (self.dataset / "report.html").write_text("<html>")
        (folder / "small.yaml").write_text(CONFIG)
        write_wav(self.sound, AudioTrack(speech_like(6.0)))

    def prepare(self, dataset: Path) -> list[str]:
        return gtalk("prepare", self.clip, "-o", dataset)

    def fit(self, avatar: Path) -> list[str]:
        consent = ["--person", "nobody", "--consent", "A drawing."]
        config = ["--renderer", "gaussian", "--config", str(self.folder / "small.yaml")]
        return gtalk("fit", self.dataset, "-o", avatar, *config, *consent)

    def motion(self, avatar: Path) -> list[str]:
        return [sys.executable, "-c", MOTION, str(self.dataset), str(avatar)]

    def dub(self, avatar: Path, output: Path) -> list[str]:
        return gtalk("dub", avatar, self.sound, "-o", output, "--overwrite", "--height", "40")

    def run(self, command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=TOO_LONG_S,
        )

    def must(self, command: list[str]) -> float:
        """Run a command that has to succeed. Seconds it took."""
        start_s = time.monotonic()
        done = self.run(command)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
        return time.monotonic() - start_s

    def kill(self, command: list[str], after_s: float, how: int = signal.SIGKILL) -> int | None:
        """Start a command, end it and all it started after a while. Its exit status; None where it had ended."""
        process = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            process.wait(timeout=after_s)
            return None
        except subprocess.TimeoutExpired:
            if how == signal.SIGKILL:
                os.killpg(process.pid, how)
            else:
                process.send_signal(how)
            return process.wait(timeout=60)


class Whole:
    """What runs give that are never interrupted, each made when first asked for: (seconds it took, hash of it)."""

    def __init__(self, bench: Workspace) -> None:
        self._bench, self.avatar_folder = bench, bench.folder / "whole"
        self.film_path = bench.folder / "whole.mp4"

    @cached_property
    def dataset(self) -> tuple[float, str]:
        """Of `gtalk prepare`."""
        folder = self._bench.folder / "whole.dataset"
        return self._bench.must(self._bench.prepare(folder)), prepared(folder)

    @cached_property
    def looks(self) -> tuple[float, str]:
        """Of `gtalk fit`."""
        seconds = self._bench.must(self._bench.fit(self.avatar_folder))
        return seconds, tensors(self.avatar_folder / "avatar.safetensors")

    @cached_property
    def speech(self) -> tuple[float, str]:
        """Of motion training."""
        _ = self.looks
        seconds = self._bench.must(self._bench.motion(self.avatar_folder))
        return seconds, tensors(self.avatar_folder / "motion.safetensors")

    @cached_property
    def film(self) -> tuple[float, str]:
        """Of `gtalk dub`."""
        _ = self.speech
        return self._bench.must(self._bench.dub(self.avatar_folder, self.film_path)), images(self.film_path)


def write_clip(path: Path) -> None:
    """The demo clip's first seconds, small."""
    demo = ROOT / "data" / "demo" / "clip.mp4"
    images = (cv2.resize(p, (CLIP_SIZE, CLIP_SIZE), interpolation=cv2.INTER_AREA)
                for p in read_video(demo).read(0, CLIP_FRAMES))  # fmt: skip
    write_video(path, images, 25.0, AudioTrack(read_audio(demo).samples[: CLIP_FRAMES * 640]))


def gtalk(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "gtalk", *map(str, arguments)]


def tensors(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def prepared(folder: Path) -> str:
    """Hash of all that was learned from a clip; the manifest and the report also tell how long it took."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.name not in {"manifest.json", "prepare.json", "report.html"}:
            arrays = np.load(path) if path.suffix == ".npz" else {"": np.frombuffer(path.read_bytes(), np.uint8)}
            for name in sorted(arrays):  # an archive also keeps the time
                digest.update(f"{path.relative_to(folder)}/{name}".encode() + arrays[name].tobytes())
    return digest.hexdigest()


def images(path: Path) -> str:
    """Hash of all decoded images and samples; raises when the file is not whole."""
    digest = hashlib.sha256()
    with av.open(str(path)) as file:
        for frame in file.decode(video=0):
            digest.update(frame.to_ndarray(format="rgb24").tobytes())
        file.seek(0)
        for frame in file.decode(audio=0):
            digest.update(frame.to_ndarray().tobytes())
    return digest.hexdigest()


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def left(folder: Path) -> str:
    """Temporary files that stayed after a run that succeeded."""
    names = [path.name for path in folder.rglob(".*") if not path.name.endswith(".lock")]
    return f"left behind: {', '.join(sorted(re.sub('[0-9a-f]{8}', '*', n) for n in names))}" if names else ""


def differs(got: str, wanted: str) -> str:
    return "" if got == wanted else "another result than that of an uninterrupted run"


def table(rows: list[Row]) -> str:
    width = max(len(row.fault) for row in rows)
    lines = [f"{'fault':<{width}}  tries  held  what happened"]
    lines += [f"{row.fault:<{width}}  {row.tries:>5}  {row.held:>4}  {row.what}" for row in rows]
    return "\n".join(lines)
