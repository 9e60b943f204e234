"""Locks all that `make demo` and `make test` install: exact versions with hashes, for Linux and each Python we support.

    make lock               what pyproject.toml newly asks for is added; all else keeps its version
    make lock UPGRADE=1     everything goes to the newest version that fits

Writes, into requirements/:

    dev.lock     what `make test` installs: gtalk's dependencies and those of the extra `dev`
    run.lock     what `make demo` installs, in the same versions
    serve.lock   what the container holds (extra `serve`), in the same versions
    torch.txt    torch, in a step of its own: which build of it is installed (for the CPU, for one CUDA or another) is
                 the user's choice, told to pip; so it has an exact version and no hash. What only some of its
                 builds need (nvidia-*, triton) is pinned by torch itself, and is in neither lock.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "requirements"
DEV, RUN, TORCH = FOLDER / "dev.lock", FOLDER / "run.lock", FOLDER / "torch.txt"
SERVE = FOLDER / "serve.lock"
TORCHS = re.compile(r"torch|triton|nvidia-.*|cuda-.*")
OLDEST_PYTHON = "3.11"
LOCKED_FOR = {"python_full_version < '3.13'", "sys_platform == 'linux'", "platform_machine == 'x86_64'"}
"""As `environments` in pyproject.toml."""
CONSTRAINED = re.compile(r"-c requirements/dev\.lock, |, -c requirements/dev\.lock")
HEADER = (
    "# Made by `make lock` from pyproject.toml: change that, not this. Installed with --no-deps --require-hashes.\n"
)


def compile_lock(path: Path, extra: str, *options: str) -> None:
    """Have uv resolve gtalk with an extra into a lock file. Raises CalledProcessError where nothing fits."""
    command = [sys.executable, "-m", "uv", "--quiet", "pip", "compile", "pyproject.toml", "--extra", extra]
    command += ["--universal", "--python-version", OLDEST_PYTHON, "--fork-strategy", "fewest"]
    command += ["--generate-hashes", "--no-header", "--annotation-style", "line"]
    subprocess.run([*command, "--output-file", str(path), *options], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def entries(text: str) -> dict[str, list[str]]:
    """The requirements of a lock file with their hashes and remarks, by name; a name may stand twice, with markers."""
    found: dict[str, list[str]] = {}
    for block in re.split(r"\n(?=[A-Za-z0-9])", text):
        if match := re.match(r"([A-Za-z0-9._-]+)==", block):
            found.setdefault(match[1], []).append(block.rstrip("\n"))
    return found


def tidy(block: str) -> str:
    """An entry without what is true of all: the platforms that were locked for, and that dev.lock constrained it."""
    line, slash, rest = block.partition(" \\\n")
    required, _, marker = line.partition(" ; ")
    left = [part for part in marker.split(" and ") if part and part not in LOCKED_FOR]
    return " ; ".join([required, *([" and ".join(left)] if left else [])]) + slash + CONSTRAINED.sub("", rest)


def main() -> None:
    """Write the four files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="take the newest of everything, not only what is new")
    FOLDER.mkdir(exist_ok=True)
    compile_lock(DEV, "dev", *(["--upgrade"] if parser.parse_args().upgrade else []))
    for path, extra in ((RUN, "prepare"), (SERVE, "serve")):
        compile_lock(path, extra, "--upgrade", "--constraint", str(DEV.relative_to(ROOT)))
    for path in (DEV, RUN, SERVE):
        found = entries(path.read_text(encoding="utf-8"))
        kept = [tidy(b) for name, blocks in found.items() if not TORCHS.fullmatch(name) for b in blocks]
        path.write_text(HEADER + "\n".join(kept) + "\n", encoding="utf-8")
        print(f"{path.relative_to(ROOT)}: {len(kept)} packages")
    torch = found["torch"][0].split()[0]
    TORCH.write_text(f"# Made by `make lock`; see tools/make/lock.py for why it stands alone.\n{torch}\n")
    print(f"{TORCH.relative_to(ROOT)}: {torch}")


if __name__ == "__main__":
    main()
