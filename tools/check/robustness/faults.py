"""Does what it can to break a run, and prints a table: each fault, how often tried, what happened.

    python tools/check/robustness/faults.py [--kills 20] [--fuzz 200] [--only dub,batch] [--json OUT.json]

Everything runs as a user would run it, in processes of their own: `gtalk prepare` on four seconds of the demo
clip, and on a synthetic person of 40 pixels `gtalk fit`, motion training, `gtalk dub`, `gtalk batch`. After each
kill -9 the same command runs again and its result must be that of a run that was never killed: the same bits of
tensors, the same decoded images.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
from fault_runs import (
    ROOT,
    TOO_LONG_S,
    Row,
    Whole,
    Workspace,
    differs,
    fresh,
    gtalk,
    images,
    left,
    prepared,
    table,
    tensors,
)

from tests.support.toys import speech_like

SHARES = {"prepare": 0.2, "fit": 0.25, "motion": 0.1, "dub": 0.2, "batch": 0.25}  # of the kills
PARTS = (*SHARES, "interrupts", "two", "disk", "surroundings", "gradients", "damage")
JUMPING = """
import random, sys, time
true = time.time
time.time = lambda: true() + random.choice([-1e5, 0.0, 1e5])
from gtalk.cli import main
sys.exit(main(sys.argv[1:]))
"""


Again = tuple[list[str], Callable[[], str]]


def killed(workspace: Workspace, name: str, count: int, span_s: float, make: Callable[[], Again]) -> Row:
    """`make` gives a command on fresh ground, and a check after its second run: "" or what is wrong."""
    wrong, ended = [], 0
    for _ in range(count):
        command, check = make()
        ended += workspace.kill(command, workspace.rng.uniform(0.05, 0.98) * span_s) is None
        again = workspace.run(command)
        problem = f"status {again.returncode}: {again.stderr[-300:]}" if again.returncode else check()
        wrong += [problem] if problem else []
    what = "run again: as if never killed" if not wrong else "; ".join(sorted(set(wrong)))[:300]
    return Row(f"kill -9, {name}", count, count - len(wrong), what + (f" ({ended} had ended before)" if ended else ""))


def prepare_kills(workspace: Workspace, whole: Whole, count: int) -> Row:
    span_s, wanted = whole.dataset

    def make() -> Again:
        dataset = fresh(workspace.folder / "again.dataset")
        return workspace.prepare(dataset), lambda: left(dataset) or differs(prepared(dataset), wanted)

    return killed(workspace, "gtalk prepare", count, span_s, make)


def fit_kills(workspace: Workspace, whole: Whole, count: int) -> Row:
    span_s, wanted = whole.looks

    def make() -> Again:
        avatar = fresh(workspace.folder / "again")
        return workspace.fit(avatar), lambda: left(avatar) or differs(tensors(avatar / "avatar.safetensors"), wanted)

    return killed(workspace, "gtalk fit", count, span_s, make)


def motion_kills(workspace: Workspace, whole: Whole, count: int) -> Row:
    span_s, wanted = whole.speech

    def make() -> Again:
        avatar = fresh(workspace.folder / "again")
        shutil.copytree(whole.avatar_folder, avatar, ignore=shutil.ignore_patterns("motion.*"))
        return workspace.motion(avatar), lambda: left(avatar) or differs(tensors(avatar / "motion.safetensors"), wanted)

    return killed(workspace, "motion training", count, span_s, make)


def dub_kills(workspace: Workspace, whole: Whole, count: int) -> Row:
    span_s, wanted = whole.film

    def make() -> Again:
        output = fresh(workspace.folder / "out") / "a.mp4"
        output.parent.mkdir()
        return workspace.dub(whole.avatar_folder, output), lambda: differs(images(output), wanted)

    return killed(workspace, "gtalk dub", count, span_s, make)


def batch_kills(workspace: Workspace, whole: Whole, count: int) -> Row:
    jobs, (_, wanted) = workspace.folder / "jobs" / "jobs.jsonl", whole.film

    def make() -> Again:
        return batch(workspace, jobs, whole.avatar_folder), check

    def check() -> str:
        outputs = [jobs.parent / f"{i}.mp4" for i in range(3)]
        return left(jobs.parent) or next(filter(None, (differs(images(path), wanted) for path in outputs)), "")

    return killed(workspace, "gtalk batch", count, workspace.must(make()[0]), make)


def batch(workspace: Workspace, jobs: Path, avatar: Path) -> list[str]:
    fresh(jobs.parent).mkdir()
    lines = [
        {"avatar": str(avatar), "audio": str(workspace.sound), "output": f"{i}.mp4", "height": 40} for i in range(3)
    ]
    jobs.write_text("\n".join(map(json.dumps, lines)))
    return gtalk("batch", jobs, "--workers", 2)


def interrupts(workspace: Workspace, whole: Whole) -> Row:
    """Ctrl-C: status 130 and no traceback; the same command goes on."""
    (span_s, wanted), held = whole.looks, 0
    for share in (0.5, 0.8):
        avatar = fresh(workspace.folder / "again")
        status = workspace.kill(workspace.fit(avatar), share * span_s, signal.SIGINT)
        again = workspace.run(workspace.fit(avatar))
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


def two_at_once(workspace: Workspace, whole: Whole) -> list[Row]:
    (_, wanted), (_, film) = whole.looks, whole.film
    avatar = fresh(workspace.folder / "both")
    pair = [subprocess.Popen(workspace.fit(avatar), env=workspace.environment, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True) for _ in range(2)]  # fmt: skip
    said = [process.communicate(timeout=TOO_LONG_S)[1] for process in pair]
    status = sorted(process.returncode for process in pair)
    same = tensors(avatar / "avatar.safetensors") == wanted
    fits = status == [0, 2] and any("one that is running" in text for text in said) and same
    output = fresh(workspace.folder / "twice") / "a.mp4"
    output.parent.mkdir()
    pair = [subprocess.Popen(workspace.dub(whole.avatar_folder, output), env=workspace.environment,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]  # fmt: skip
    status = [process.wait(timeout=TOO_LONG_S) for process in pair]
    dubs = images(output) == film and not left(output.parent)
    return [
        Row("two `gtalk fit` on one output", 1, int(fits), "one works, the other ends with status 2 and says why"),
        Row("two `gtalk dub` on one output", 1, int(dubs), f"statuses {status}; one whole file, nothing left behind"),
    ]


def full_disk(workspace: Workspace, whole: Whole) -> list[Row]:
    _ = whole.film
    disk = fresh(workspace.folder / "disk")
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        return [Row("disk full", 0, 0, "not tried: mounting needs root")]
    rows = []
    try:
        for name, command in (
            ("fit", workspace.fit(disk / "me")),
            ("dub", workspace.dub(whole.avatar_folder, disk / "a.mov")),
        ):
            subprocess.run(["mount", "-o", "remount,size=300k", str(disk)], check=True)
            first = workspace.run(command)
            half = [path.name for path in disk.rglob("*") if path.is_file() and path.suffix in {".mov", ".json"}]
            subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
            second = workspace.run(command)
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


def surroundings(workspace: Workspace, whole: Whole) -> list[Row]:
    """Homes, clocks, threads, broken samples: the same images come out."""
    (_, wanted), avatar, rows = whole.film, whole.avatar_folder, []

    def row(
        fault: str, command: list[str], output: Path, same: bool = True, environment: dict[str, str] | None = None
    ) -> None:
        done = workspace.run(command, **(environment or {}))
        ok = not done.returncode and (not same or images(output) == wanted)
        what = "the same images and sound" if same else "a whole video"
        rows.append(Row(fault, 1, int(ok), what if ok else (done.stderr[-200:] or "another result")))

    nowhere = {name: "/proc/nowhere" for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")}
    row(
        "home that cannot be written",
        workspace.dub(avatar, workspace.folder / "h.mp4"),
        workspace.folder / "h.mp4",
        environment=nowhere,
    )
    for threads in ("1", "16"):
        output = workspace.folder / f"t{threads}.mp4"
        row(f"{threads} threads", workspace.dub(avatar, output), output, environment={"OMP_NUM_THREADS": threads})
    output = workspace.folder / "c.mp4"
    jumping = [sys.executable, "-c", JUMPING, *workspace.dub(avatar, output)[3:]]
    row("wall clock jumps by a day at every look", jumping, output)
    import soundfile

    samples = speech_like(3.0)
    samples[1000:20_000:7], samples[21_000], samples[22_000] = np.nan, np.inf, -np.inf
    soundfile.write(workspace.folder / "nan.wav", samples, 16_000, subtype="FLOAT")
    output = workspace.folder / "n.mp4"
    row(
        "NaN and infinity in the sound",
        gtalk("dub", avatar, workspace.folder / "nan.wav", "-o", output),
        output,
        same=False,
    )
    return rows


def gradients(workspace: Workspace) -> Row:
    """NaN and infinity in one number of a step of either renderer's fit, at eight moments; then in every step."""
    command = [sys.executable, "-m", "pytest", str(ROOT / "tests/robustness/test_faults.py"), "-k", "gradient", "-rA",
               "--timeout=1800"]  # fmt: skip
    done = workspace.run(command)
    held, failed = (len(re.findall(rf"^{word} ", done.stdout, re.MULTILINE)) for word in ("PASSED", "FAILED"))
    what = "the fit goes back to its last good state and ends whole; broken in every step, it ends with words"
    return Row("NaN and infinity in gradients", held + failed, held, what)


def fuzz(workspace: Workspace, examples: int) -> Row:
    """The fuzzing tests with random seeds and more examples."""
    command = [sys.executable, "-m", "pytest", str(ROOT / "tests/robustness/test_strangers.py"), "--timeout=1800"]
    done = subprocess.run(command, env={**workspace.environment, "GTALK_FUZZ_EXAMPLES": str(examples)}, cwd=ROOT,
                          capture_output=True, text=True, check=False)  # fmt: skip
    summary = done.stdout.strip().splitlines()[-1]
    n_files = examples * (3 * 2 + 8)  # three tests of two kinds of avatars, eight others; media twice as often
    return Row("damaged files of every kind", n_files, n_files if not done.returncode else 0,
               f"loads or says what is wrong; no other exception, no code run ({summary})")  # fmt: skip


def parts(workspace: Workspace, whole: Whole, n_kills: int, n_fuzz: int) -> dict[str, Callable[[], Row | list[Row]]]:
    """What fills the table, by name."""
    stages = {
        "prepare": prepare_kills,
        "fit": fit_kills,
        "motion": motion_kills,
        "dub": dub_kills,
        "batch": batch_kills,
    }
    counts = {name: max(1, round(n_kills * SHARES[name])) for name in stages}
    found: dict[str, Callable[[], Row | list[Row]]] = {}
    if n_kills:
        found |= {name: partial(kill, workspace, whole, counts[name]) for name, kill in stages.items()}
    around = {"interrupts": interrupts, "two": two_at_once, "disk": full_disk, "surroundings": surroundings}
    found |= {name: partial(check, workspace, whole) for name, check in around.items()}
    found["gradients"] = partial(gradients, workspace)
    if n_fuzz:
        found["damage"] = partial(fuzz, workspace, n_fuzz)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="kill -9 so often, over all stages; 0 for none")
    parser.add_argument("--fuzz", type=int, default=0, help="examples of each fuzzing test; 0 for none")
    parser.add_argument("--only", help=f"parts of the table, with commas between: {', '.join(PARTS)}")
    parser.add_argument("--seed", type=int, default=0, help="chooses the moments of the kills")
    parser.add_argument("--json", type=Path, help="write the rows there")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs, and theirs, ignore it
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="gtalk-robustness-") as folder:
        workspace = Workspace(Path(folder), options.seed)
        for part, make in parts(workspace, Whole(workspace), options.kills, options.fuzz).items():
            if options.only is None or part in options.only.split(","):
                made = make()
                rows += (made := made if isinstance(made, list) else [made])
                print(f"{part}: {'held' if all(r.held == r.tries for r in made) else 'broken'}", file=sys.stderr)
    print(table(rows))
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    return int(any(row.held < row.tries for row in rows))


if __name__ == "__main__":
    sys.exit(main())
