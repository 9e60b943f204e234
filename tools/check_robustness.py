"""Does what it can to break a run, and prints a table: each fault, how often tried, what happened.

    python tools/check_robustness.py [--kills 20] [--fuzz 200] [--json OUT.json]

Everything runs as a user would run it, in processes of their own: `gtalk prepare` on four seconds of the demo
clip, and on a synthetic person of 40 pixels `gtalk fit`, motion training, `gtalk dub`, `gtalk batch`. After each
kill -9 the same command runs again and its result must be that of a run that was never killed: the same bits of
tensors, the same decoded pictures.
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
from pathlib import Path

import numpy as np
from robustness_bench import (
    ROOT,
    TOO_LONG_S,
    Bench,
    Row,
    differs,
    fresh,
    gtalk,
    left,
    pictures,
    prepared,
    table,
    tensors,
)

from tests.toys import speech_like

SHARES = {"prepare": 0.2, "fit": 0.25, "motion": 0.1, "dub": 0.2, "batch": 0.25}  # of the kills
JUMPING = """
import random, sys, time
true = time.time
time.time = lambda: true() + random.choice([-1e5, 0.0, 1e5])
from gtalk.cli import main
sys.exit(main(sys.argv[1:]))
"""


def kills(bench: Bench, count: int) -> list[Row]:
    """Kill -9 at random points of every stage, each followed by the same command again."""
    whole = bench.folder / "whole"
    dataset = bench.folder / "whole.dataset"
    spans = {"prepare": bench.must(bench.prepare(dataset))}
    spans |= {"fit": bench.must(bench.fit(whole)), "motion": bench.must(bench.motion(whole))}
    wanted = {
        "prepare": prepared(dataset),
        "fit": tensors(whole / "avatar.safetensors"),
        "motion": tensors(whole / "motion.safetensors"),
    }
    spans["dub"] = bench.must(bench.dub(whole, bench.folder / "whole.mp4"))
    wanted["dub"] = pictures(bench.folder / "whole.mp4")
    jobs = bench.folder / "jobs" / "jobs.jsonl"
    spans["batch"] = bench.must(batch(bench, jobs, whole))
    return [
        killed(bench, "gtalk prepare", n_of(count, "prepare"), spans["prepare"],
               lambda: prepare_again(bench, wanted["prepare"])),
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


def prepare_again(bench: Bench, wanted: str) -> Again:
    dataset = fresh(bench.folder / "again.dataset")
    return bench.prepare(dataset), lambda: left(dataset) or differs(prepared(dataset), wanted)


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

    def row(
        fault: str, command: list[str], output: Path, same: bool = True, environment: dict[str, str] | None = None
    ) -> None:
        done = bench.run(command, **(environment or {}))
        ok = not done.returncode and (not same or pictures(output) == wanted)
        what = "the same pictures and sound" if same else "a whole video"
        rows.append(Row(fault, 1, int(ok), what if ok else (done.stderr[-200:] or "another result")))

    nowhere = {name: "/proc/nowhere" for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")}
    row(
        "home that cannot be written",
        bench.dub(whole, bench.folder / "h.mp4"),
        bench.folder / "h.mp4",
        environment=nowhere,
    )
    for threads in ("1", "16"):
        output = bench.folder / f"t{threads}.mp4"
        row(f"{threads} threads", bench.dub(whole, output), output, environment={"OMP_NUM_THREADS": threads})
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


def gradients(bench: Bench) -> Row:
    """NaN and infinity in one number of a step of either renderer's fit, at eight moments; then in every step."""
    command = [sys.executable, "-m", "pytest", str(ROOT / "tests/robustness/test_faults.py"), "-k", "gradient", "-rA",
               "--timeout=1800"]  # fmt: skip
    done = bench.run(command)
    held, failed = (len(re.findall(rf"^{word} ", done.stdout, re.MULTILINE)) for word in ("PASSED", "FAILED"))
    what = "the fit goes back to its last good state and ends whole; broken in every step, it ends with words"
    return Row("NaN and infinity in gradients", held + failed, held, what)


def fuzz(bench: Bench, examples: int) -> Row:
    """The fuzzing tests with random seeds and more examples."""
    command = [sys.executable, "-m", "pytest", str(ROOT / "tests/robustness/test_strangers.py"), "--timeout=1800"]
    done = subprocess.run(command, env={**bench.environment, "GTALK_FUZZ_EXAMPLES": str(examples)}, cwd=ROOT,
                          capture_output=True, text=True, check=False)  # fmt: skip
    summary = done.stdout.strip().splitlines()[-1]
    n_files = examples * (3 * 2 + 6)  # three tests of two kinds of avatars, six others; media twice as often
    return Row("damaged files of every kind", n_files, n_files if not done.returncode else 0,
               f"loads or says what is wrong; no other exception, no code run ({summary})")  # fmt: skip


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
        rows.append(gradients(bench))
        if options.fuzz:
            rows.append(fuzz(bench, options.fuzz))
    print(table(rows))
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    return int(any(row.held < row.tries for row in rows))


if __name__ == "__main__":
    sys.exit(main())
