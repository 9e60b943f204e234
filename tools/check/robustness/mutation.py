"""Do the tests notice faults? Puts small faults into central modules, one at a time, and runs each module's tests.

    python tools/check/robustness/mutation.py [MODULE ...] [--each 40] [--seed 0] [--results out/mutation.jsonl]

Each fault (a comparison or a sign turned, a number or a truth changed, a return emptied, a call left out) is tried in
a process of its own, in memory: no file is changed. A module is tested by the test files that stand beside it in
MODULES, which stop at the first failure. Faults are drawn by chance, the same ones for the same seed, among lines
that those tests reach at all. A run that is stopped goes on where it was; what changed since is tried again. At the
end a table, and every fault that no test noticed.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from tools.check.robustness.mutants import Mutant, drawn, mutants  # noqa: E402

MODULES: dict[str, tuple[str, ...]] = {
    "gtalk/types.py": ("tests/test_types.py",),
    "gtalk/files.py": ("tests/test_files.py",),
    "gtalk/basis.py": ("tests/test_basis.py",),
    "gtalk/config.py": ("tests/test_config.py",),
    "gtalk/dataset/format.py": ("tests/dataset",),
    "gtalk/reading/untrusted.py": ("tests/reading",),
    "gtalk/geometry/rotation.py": ("tests/geometry/test_rotation.py", "tests/geometry/test_pose.py"),
    "gtalk/rig/expression.py": ("tests/rig/test_expression.py",),
    "gtalk/direct/score.py": ("tests/direct/test_score.py",),
    "gtalk/motion/edits/controls.py": ("tests/motion/edits/test_controls.py",),
}
"""The most central ones: many others import them, or every frame passes through them."""
NOTICED, LIVED, ENDLESS = "noticed", "lived", "endless"
PATIENCE = 4.0  # times what the tests take as they are, and a few seconds, before a fault counts as one that hangs


def in_a_child(work: Callable[[], object], limit_s: float) -> object | None:
    """What `work` returned there (as JSON), or None where it took too long or died."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        os.close(reader)
        code = 1
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                os.write(writer, json.dumps(work()).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    end_s = time.monotonic() + limit_s
    said = b""
    os.set_blocking(reader, False)
    while time.monotonic() < end_s:
        try:
            piece = os.read(reader, 1 << 20)
        except BlockingIOError:
            time.sleep(0.02)
            continue
        if not piece:
            break
        said += piece
    else:
        said = b""
    os.close(reader)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # with all that it started
    os.waitpid(child, 0)
    return json.loads(said) if said else None


def tested(tests: tuple[str, ...]) -> int:
    """Pytest's status."""
    import pytest

    return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]))


def reached(path: str, tests: tuple[str, ...]) -> Callable[[], object]:
    """The lines of a module that its tests run; they must pass."""

    lines, file = set(), str(ROOT / path)

    def watch(frame: FrameType, event: str, _: object) -> object:
        if frame.f_code.co_filename != file:
            return None
        lines.add(frame.f_lineno)
        return watch

    def work() -> object:
        sys.settrace(watch)
        threading.settrace(watch)
        status = tested(tests)
        sys.settrace(None)
        return [status, sorted(lines)]

    return work


def tried(path: str, mutant: Mutant, tests: tuple[str, ...]) -> Callable[[], object]:
    """Pytest's status with a fault in place."""

    def work() -> object:
        read, name = SourceFileLoader.get_code, path.removesuffix(".py").replace("/", ".")

        def get_code(loader: SourceFileLoader, fullname: str) -> object:
            """Through the loader all the same: it may check types at run time."""
            if fullname != name:
                return read(loader, fullname)
            return loader.source_to_code(mutant.source.encode(), loader.path)

        SourceFileLoader.get_code = get_code
        return tested(tests)

    return work


def key(path: str, mutant: Mutant, tests: tuple[str, ...]) -> str:
    """Changes with the module, the fault and the tests."""
    files = [f for test in tests for f in sorted((ROOT / test).glob("*.py")) or [ROOT / test]]
    content = [mutant.source.encode(), *(file.read_bytes() for file in files)]
    return hashlib.sha256(b"\0".join([path.encode(), *content])).hexdigest()[:16]


def run(path: str, each: int, seed: int, results: Path) -> list[dict[str, object]]:
    """One module: a record for every fault that was tried."""
    tests = MODULES[path]
    known = {r["key"]: r for r in map(json.loads, results.read_text().splitlines())} if results.exists() else {}
    began_s = time.monotonic()
    answer = in_a_child(reached(path, tests), 600.0)
    whole_s = time.monotonic() - began_s
    if not isinstance(answer, list) or answer[0] != 0:
        raise SystemExit(f"{path}: its tests ({', '.join(tests)}) do not pass as they are: {answer}")
    possible = mutants((ROOT / path).read_text(encoding="utf-8"), set(answer[1]))
    records = []
    for count, mutant in enumerate(chosen := drawn(possible, each, seed)):
        mark = key(path, mutant, tests)
        if mark not in known:
            status = in_a_child(tried(path, mutant, tests), 10.0 + PATIENCE * whole_s)
            outcome = ENDLESS if status is None else LIVED if status == 0 else NOTICED
            was, now = mutant.words
            known[mark] = {"key": mark, "module": path, "line": mutant.line, "was": was, "now": now}
            known[mark] |= {"outcome": outcome, "possible": len(possible)}
            with results.open("a") as file:
                file.write(json.dumps(known[mark]) + "\n")
        records.append(known[mark])
        print(f"\r{path}: {count + 1} of {len(chosen)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return records


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("modules", nargs="*", default=list(MODULES), help=f"of: {', '.join(MODULES)}")
    parser.add_argument("--each", type=int, default=40, help="faults a module")
    parser.add_argument("--seed", type=int, default=0, help="which faults are drawn")
    parser.add_argument("--results", type=Path, default=ROOT / "out/mutation.jsonl", help="kept, and read again")
    options = parser.parse_args()
    if unknown := set(options.modules) - set(MODULES):
        parser.error(f"not in the table: {', '.join(sorted(unknown))}")
    options.results.parent.mkdir(parents=True, exist_ok=True)
    os.chdir(ROOT)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for library in ("cv2", "hypothesis", "numpy", "pytest", "scipy", "torch"):  # once, not for every fault
        importlib.import_module(library)

    records = [r for path in options.modules for r in run(path, options.each, options.seed, options.results)]
    print("| module | faults | possible | noticed |\n|---|---|---|---|")
    for path in options.modules:
        mine = [r for r in records if r["module"] == path]
        noticed = sum(r["outcome"] != LIVED for r in mine)
        print(f"| `{path}` | {len(mine)} | {mine[0]['possible'] if mine else 0} | {noticed} |")
    for r in records:
        if r["outcome"] == LIVED:
            print(f"{r['module']}:{r['line']}: {r['was']}  ->  {r['now']}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
