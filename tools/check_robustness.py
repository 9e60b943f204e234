"""Does what it can to break a run, and prints a table: each fault, how often tried, what happened.

    python tools/check_robustness.py [--kills 20] [--fuzz 200] [--json OUT.json]

Everything runs as a user would run it, in processes of their own, on a synthetic person of 40 pixels:
`gtalk fit`, motion training, `gtalk dub`, `gtalk batch`. After each kill -9 the same command runs again and
its result must be that of a run that was never killed: the same bits of tensors, the same decoded pictures.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import av  # noqa: E402
import numpy as np  # noqa: E402

from gtalk.dataset.validate import STAGES  # noqa: E402
from gtalk.media.audio import write_wav  # noqa: E402
from gtalk.types import AudioTrack  # noqa: E402
from tests.synthetic_dataset import make_synthetic_dataset  # noqa: E402
from tests.toys import speech_like  # noqa: E402

TOO_LONG_S = 3600.0  # on a machine that is busy with other things
SHARES = {"fit": 0.35, "motion": 0.15, "dub": 0.25, "batch": 0.25}  # of the kills
CONFIG = "avatar: {count: 300}\ntrainer: {size: 40, steps: 150, preview_every: 0, checkpoint_every: 25}\n"
MOTION = """
import dataclasses, sys
from pathlib import Path
import torch
from gtalk.motion.train import train_motion
from tests.motion.talking import SMALL
torch.set_num_threads(1)
config = dataclasses.replace(SMALL, fit=dataclasses.replace(SMALL.fit, steps=40, check_every=20))
train_motion([Path(sys.argv[1])], Path(sys.argv[2]), config)
"""
JUMPING = """
import random, sys, time
true = time.time
time.time = lambda: true() + random.choice([-1e5, 0.0, 1e5])
from gtalk.cli import main
sys.exit(main(sys.argv[1:]))
"""


@dataclass
class Row:
    """One line of the table."""

    fault: str
    tries: int
    held: int
    what: str


class Bench:
    """A folder with everything a run needs, and the commands."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.rng = folder, random.Random(seed)
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        self.dataset, self.sound = folder / "ds", folder / "speech.wav"
        make_synthetic_dataset(self.dataset, n_frames=300, size=40)
        manifest = json.loads((self.dataset / "manifest.json").read_text())
        manifest["stages"] = {name: {} for name in STAGES}
        (self.dataset / "manifest.json").write_text(json.dumps(manifest))
        np.savez(self.dataset / "audio_features.npz", mel=np.zeros((1200, 1), np.float32))
        (self.dataset / "report.html").write_text("<html>")
        (folder / "small.yaml").write_text(CONFIG)
        write_wav(self.sound, AudioTrack(speech_like(6.0)))

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


def gtalk(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "gtalk", *map(str, arguments)]


def tensors(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pictures(path: Path) -> str:
    """Hash of all decoded pictures and samples; raises when the file is not whole."""
    digest = hashlib.sha256()
    with av.open(str(path)) as file:
        for frame in file.decode(video=0):
            digest.update(frame.to_ndarray(format="rgb24").tobytes())
        file.seek(0)
        for frame in file.decode(audio=0):
            digest.update(frame.to_ndarray().tobytes())
    return digest.hexdigest()


def kills(bench: Bench, count: int) -> list[Row]:
    """Kill -9 at random points of every stage, each followed by the same command again."""
    whole = bench.folder / "whole"
    spans = {"fit": bench.must(bench.fit(whole)), "motion": bench.must(bench.motion(whole))}
    wanted = {"fit": tensors(whole / "avatar.safetensors"), "motion": tensors(whole / "motion.safetensors")}
    spans["dub"] = bench.must(bench.dub(whole, bench.folder / "whole.mp4"))
    wanted["dub"] = pictures(bench.folder / "whole.mp4")
    jobs = bench.folder / "jobs" / "jobs.jsonl"
    spans["batch"] = bench.must(batch(bench, jobs, whole))
    return [
        killed(bench, "gtalk fit", n_of(count, "fit"), spans["fit"], lambda: fit_again(bench, wanted["fit"])),
        killed(bench, "motion training", n_of(count, "motion"), spans["motion"],
               lambda: motion_again(bench, whole, wanted["motion"])),
        killed(bench, "gtalk dub", n_of(count, "dub"), spans["dub"], lambda: dub_again(bench, whole, wanted["dub"])),
        killed(bench, "gtalk batch", n_of(count, "batch"), spans["batch"],
               lambda: batch_again(bench, jobs, whole, wanted["dub"])),
    ]  # fmt: skip


Again = tuple[list[str], Callable[[], str]]


def killed(bench: Bench, name: str, count: int, span_s: float, make: Callable[[], Again]) -> Row:
    """`make` gives a command on fresh ground, and a check after its second run: "" or what is wrong."""
    wrong, ended = [], 0
    for _ in range(count):
        command, check = make()
        ended += bench.kill(command, bench.rng.uniform(0.05, 0.98) * span_s) is None
        again = bench.run(command)
        problem = f"status {again.returncode}: {again.stderr[-300:]}" if again.returncode else check()
        wrong += [problem] if problem else []
    what = "run again: as if never killed" if not wrong else "; ".join(sorted(set(wrong)))[:300]
    return Row(f"kill -9, {name}", count, count - len(wrong), what + (f" ({ended} had ended before)" if ended else ""))


def n_of(count: int, stage: str) -> int:
    return max(1, round(count * SHARES[stage]))


def fit_again(bench: Bench, wanted: str) -> Again:
    avatar = fresh(bench.folder / "again")
    return bench.fit(avatar), lambda: left(avatar) or differs(tensors(avatar / "avatar.safetensors"), wanted)


def motion_again(bench: Bench, whole: Path, wanted: str) -> Again:
    avatar = fresh(bench.folder / "again")
    shutil.copytree(whole, avatar, ignore=shutil.ignore_patterns("motion.*"))
    return bench.motion(avatar), lambda: left(avatar) or differs(tensors(avatar / "motion.safetensors"), wanted)


def dub_again(bench: Bench, whole: Path, wanted: str) -> Again:
    output = fresh(bench.folder / "out") / "a.mp4"
    output.parent.mkdir()
    return bench.dub(whole, output), lambda: differs(pictures(output), wanted)


def batch(bench: Bench, jobs: Path, avatar: Path) -> list[str]:
    fresh(jobs.parent).mkdir()
    lines = [{"avatar": str(avatar), "audio": str(bench.sound), "output": f"{i}.mp4", "height": 40} for i in range(3)]
    jobs.write_text("\n".join(map(json.dumps, lines)))
    return gtalk("batch", jobs, "--workers", 2)


def batch_again(bench: Bench, jobs: Path, whole: Path, wanted: str) -> Again:
    command = batch(bench, jobs, whole)

    def check() -> str:
        outputs = [jobs.parent / f"{i}.mp4" for i in range(3)]
        return left(jobs.parent) or next(filter(None, (differs(pictures(path), wanted) for path in outputs)), "")

    return command, check


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def left(folder: Path) -> str:
    """Temporary files that stayed after a run that succeeded."""
    names = [path.name for path in folder.rglob(".*") if not path.name.endswith(".lock")]
    return f"left behind: {', '.join(sorted(re.sub('[0-9a-f]{8}', '*', n) for n in names))}" if names else ""


def differs(got: str, wanted: str) -> str:
    return "" if got == wanted else "another result than that of an uninterrupted run"


def interrupts(bench: Bench) -> Row:
    """Ctrl-C: status 130 and no traceback; the same command goes on."""
    whole, held = bench.folder / "whole", 0
    wanted = tensors(whole / "avatar.safetensors")
    for share in (0.5, 0.8):
        avatar = fresh(bench.folder / "again")
        status = bench.kill(bench.fit(avatar), share * 12.0, signal.SIGINT)
        again = bench.run(bench.fit(avatar))
        held += (
            status in {130, -signal.SIGINT, None}
            and not again.returncode
            and tensors(avatar / "avatar.safetensors") == wanted
        )
    return Row(
        "Ctrl-C, gtalk fit",
        2,
        held,
        "status 130 (or the signal's own while Python loads); run again: as if never stopped",
    )


def two_at_once(bench: Bench) -> list[Row]:
    avatar = fresh(bench.folder / "both")
    pair = [subprocess.Popen(bench.fit(avatar), env=bench.environment, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True) for _ in range(2)]  # fmt: skip
    said = [process.communicate(timeout=TOO_LONG_S)[1] for process in pair]
    status = sorted(process.returncode for process in pair)
    same = tensors(avatar / "avatar.safetensors") == tensors(bench.folder / "whole" / "avatar.safetensors")
    fits = status == [0, 2] and any("one that is running" in text for text in said) and same
    output = fresh(bench.folder / "twice") / "a.mp4"
    output.parent.mkdir()
    pair = [subprocess.Popen(bench.dub(bench.folder / "whole", output), env=bench.environment,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]  # fmt: skip
    status = [process.wait(timeout=TOO_LONG_S) for process in pair]
    dubs = pictures(output) == pictures(bench.folder / "whole.mp4") and not left(output.parent)
    return [
        Row("two `gtalk fit` on one output", 1, int(fits), "one works, the other ends with status 2 and says why"),
        Row("two `gtalk dub` on one output", 1, int(dubs), f"statuses {status}; one whole file, nothing left behind"),
    ]


def full_disk(bench: Bench) -> list[Row]:
    disk = fresh(bench.folder / "disk")
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        return [Row("disk full", 0, 0, "not tried: mounting needs root")]
    rows = []
    try:
        for name, command in (
            ("fit", bench.fit(disk / "me")),
            ("dub", bench.dub(bench.folder / "whole", disk / "a.mov")),
        ):
            subprocess.run(["mount", "-o", "remount,size=300k", str(disk)], check=True)
            first = bench.run(command)
            half = [path.name for path in disk.rglob("*") if path.is_file() and path.suffix in {".mov", ".json"}]
            subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
            second = bench.run(command)
            said = (
                first.returncode == 2 and "enough room on the disk" in first.stderr and "Traceback" not in first.stderr
            )
            ok = said and not half and not second.returncode
            what = "status 2, says so, nothing half-written; with room the same command succeeds"
            rows.append(Row(f"disk full, gtalk {name}", 1, int(ok), what if ok else first.stderr[-200:]))
            shutil.rmtree(disk / "me", ignore_errors=True)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    return rows


def surroundings(bench: Bench) -> list[Row]:
    """Homes, clocks, threads, broken samples: the same pictures come out."""
    whole, rows = bench.folder / "whole", []
    wanted = pictures(bench.folder / "whole.mp4")

    def row(fault: str, command: list[str], output: Path, same: bool = True, **environment: str) -> None:
        done = bench.run(command, **environment)
        ok = not done.returncode and (not same or pictures(output) == wanted)
        what = "the same pictures and sound" if same else "a whole video"
        rows.append(Row(fault, 1, int(ok), what if ok else (done.stderr[-200:] or "another result")))

    nowhere = {name: "/proc/nowhere" for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")}
    row("home that cannot be written", bench.dub(whole, bench.folder / "h.mp4"), bench.folder / "h.mp4", **nowhere)
    for threads in ("1", "16"):
        output = bench.folder / f"t{threads}.mp4"
        row(f"{threads} threads", bench.dub(whole, output), output, OMP_NUM_THREADS=threads)
    output = bench.folder / "c.mp4"
    jumping = [sys.executable, "-c", JUMPING, *bench.dub(whole, output)[3:]]
    row("wall clock jumps by a day at every look", jumping, output)
    import soundfile

    samples = speech_like(3.0)
    samples[1000:20_000:7], samples[21_000], samples[22_000] = np.nan, np.inf, -np.inf
    soundfile.write(bench.folder / "nan.wav", samples, 16_000, subtype="FLOAT")
    output = bench.folder / "n.mp4"
    row(
        "NaN and infinity in the sound", gtalk("dub", whole, bench.folder / "nan.wav", "-o", output), output, same=False
    )
    return rows


def fuzz(bench: Bench, examples: int) -> Row:
    """The fuzzing tests with random seeds and more examples."""
    command = [sys.executable, "-m", "pytest", str(ROOT / "tests/robustness/test_strangers.py"), "--timeout=1800"]
    done = subprocess.run(command, env={**bench.environment, "GTALK_FUZZ_EXAMPLES": str(examples)}, cwd=ROOT,
                          capture_output=True, text=True, check=False)  # fmt: skip
    summary = done.stdout.strip().splitlines()[-1]
    n_files = examples * (3 * 2 + 6)  # three tests of two kinds of avatars, six others; media twice as often
    return Row("damaged files of every kind", n_files, n_files if not done.returncode else 0,
               f"loads or says what is wrong; no other exception, no code run ({summary})")  # fmt: skip


def table(rows: list[Row]) -> str:
    width = max(len(row.fault) for row in rows)
    lines = [f"{'fault':<{width}}  tries  held  what happened"]
    lines += [f"{row.fault:<{width}}  {row.tries:>5}  {row.held:>4}  {row.what}" for row in rows]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="kill -9 so often, over all stages; 0 for none")
    parser.add_argument("--fuzz", type=int, default=0, help="examples of each fuzzing test; 0 for none")
    parser.add_argument("--seed", type=int, default=0, help="chooses the moments of the kills")
    parser.add_argument("--json", type=Path, help="write the rows there")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs, and theirs, ignore it
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="gtalk-robustness-") as folder:
        bench = Bench(Path(folder), options.seed)
        rows += kills(bench, options.kills)
        rows += [interrupts(bench), *two_at_once(bench), *full_disk(bench), *surroundings(bench)]
        if options.fuzz:
            rows.append(fuzz(bench, options.fuzz))
    print(table(rows))
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    return int(any(row.held < row.tries for row in rows))


if __name__ == "__main__":
    sys.exit(main())
