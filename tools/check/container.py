"""Builds the Dockerfile's steps in chroots, where there is no Docker, and runs what comes out as compose.yaml would.

    debootstrap --variant=minbase bookworm ROOT            # what debian:bookworm-slim is, and some megabytes more
    python tools/check/container.py ROOT WORK [--arg TORCH_INDEX=...] [--avatar AVATAR] [--reuse]

As root on Linux. Each FROM is a copy of ROOT or of an earlier stage, each COPY takes from the repository, each RUN is
run by sh in the chroot. Says how large the last stage is. With --avatar it is served from there: as the image's user,
root file system read-only, /tmp in memory; the health check is run, a text is dubbed, SIGTERM ends it.
What this leaves out: layers, the registry's own Debian, and Docker's isolation (network, capabilities, seccomp).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PORT = 8090
MOST_MB = 2500


def steps() -> list[tuple[str, str]]:
    """(instruction, rest) of the Dockerfile, lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (REPOSITORY / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines if line)]


class Build:
    """The stages so far."""

    def __init__(self, root: Path, work: Path, arguments: dict[str, str]) -> None:
        self._root, self._work, self._arguments = root, work, arguments
        self.stages: dict[str, Path] = {}
        self.folder = root
        self.cwd, self.environment, self.user = "/", {}, "0:0"

    def step(self, word: str, rest: str) -> None:
        """Do one instruction; those that only describe the image are none."""
        match word:
            case "FROM":
                self._begin(rest.split())
            case "ARG":
                name, _, usual = rest.partition("=")
                self.environment[name] = self._arguments.get(name, usual)
            case "ENV":
                self.environment |= dict(pair.split("=", 1) for pair in shlex.split(rest))
            case "WORKDIR":
                self.cwd = rest
                (self.folder / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "USER":
                self.user = rest
            case "COPY":
                self._copy(rest.split())
            case "RUN":
                self._run(rest)

    def _begin(self, words: list[str]) -> None:
        source = self.stages.get(words[0], self._root)
        name = words[2] if len(words) > 2 else "last"
        self.folder = self._work / name
        self.stages[name] = self.folder
        self.cwd, self.environment, self.user = "/", {}, "0:0"
        subprocess.run(["cp", "-a", "--one-file-system", str(source), str(self.folder)], check=True)

    def _copy(self, words: list[str]) -> None:
        source = REPOSITORY
        if words[0].startswith("--from="):
            source = self.stages[words.pop(0).partition("=")[2]]
        *names, to = words
        target = self.folder / (Path(self.cwd) / to).as_posix().lstrip("/")
        for name in names:
            found = source / name.lstrip("/")
            into = target / found.name if to.endswith("/") else target
            into.parent.mkdir(parents=True, exist_ok=True)
            if found.is_dir():
                own = source == REPOSITORY
                left_out = shutil.ignore_patterns("__pycache__", "*.so", "*.o") if own else None
                shutil.copytree(found, into, symlinks=True, dirs_exist_ok=True, ignore=left_out)
            else:
                shutil.copy2(found, into)

    def _run(self, command: str) -> None:
        begun = time.monotonic()
        lent = ["proc", *local_indexes()]
        for name in lent:
            (self.folder / name).mkdir(parents=True, exist_ok=True)
            subprocess.run(["mount", "--bind", f"/{name}", str(self.folder / name)], check=True)
        try:
            path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
            known = {"PATH": path, "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive", **self.environment}
            inside = f"cd {shlex.quote(self.cwd)} && {command}"
            subprocess.run(["chroot", str(self.folder), "/bin/sh", "-c", inside], env=known, check=True)
        finally:
            for name in reversed(lent):
                subprocess.run(["umount", str(self.folder / name)], check=False, capture_output=True)
        print(f"{time.monotonic() - begun:5.0f} s  RUN {command[:90]}", flush=True)


def local_indexes() -> list[str]:
    """Folders, below the root, that pip's settings name as an index or a place of wheels."""
    told = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    named = re.findall(r"(?:file://)?(/[^\s'\"]+)", told.stdout)
    found = {Path(name).parent if Path(name).name == "simple" else Path(name) for name in named}
    return sorted(str(folder).lstrip("/") for folder in found if folder.is_dir() and folder != Path("/"))


def size_mb(folder: Path) -> float:
    """Of all files in it, hard links once."""
    told = subprocess.run(["du", "-s", "-x", "-B1", str(folder)], capture_output=True, text=True, check=True).stdout
    return int(told.split()[0]) / 1e6


def try_out(root: Path, build: Build, avatar: Path, work: Path) -> None:
    """Serve an avatar from it. Raises AssertionError where it does not do what it should."""
    jobs = work / "jobs"
    shutil.rmtree(jobs, ignore_errors=True)
    jobs.mkdir()
    os.chown(jobs, *map(int, build.user.split(":")))
    command = json.loads(dict(steps())["CMD"])
    command[command.index("0.0.0.0")] = "127.0.0.1"
    into = f"{root}/avatars/{avatar.resolve().name}"
    Path(into).mkdir(parents=True, exist_ok=True)
    script = f"""set -e
        mount --bind {root} {root} && mount -o remount,ro,bind {root}
        mount -t tmpfs tmpfs {root}/tmp && mount -t proc proc {root}/proc
        mount --bind /dev {root}/dev
        mount --bind {jobs} {root}/jobs && mount --bind -o ro {avatar.resolve()} {into}
        exec {shutil.which("chroot")} --userspec={build.user} {root} gtalk {shlex.join(command)}"""
    process = subprocess.Popen(["unshare", "-m", "sh", "-c", script], env=build.environment | {"LANG": "C.UTF-8"})
    url, begun = f"http://127.0.0.1:{PORT}", time.monotonic()
    check = json.loads(dict(steps())["HEALTHCHECK"].partition("CMD ")[2])
    try:
        while subprocess.run(check, check=False, capture_output=True).returncode:
            assert process.poll() is None, "it ended"
            assert time.monotonic() - begun < 120, "it is never well"
            time.sleep(0.5)
        print(f"healthy after {time.monotonic() - begun:.1f} s")
        asked = urllib.request.Request(f"{url}/v1/avatars/{avatar.resolve().name}/dubs", b'{"text": "[smile] Hello!"}')
        with urllib.request.urlopen(asked) as answer:
            job = json.load(answer)
        while (now := json.load(urllib.request.urlopen(url + job["links"]["self"])))["state"] not in ("done", "failed"):
            time.sleep(0.5)
        assert now["state"] == "done", now
        with urllib.request.urlopen(url + now["links"]["result"]) as answer:
            print(f"dub of {len(answer.read()) / 1e3:.0f} kB, {now['n_frames']} pictures")
        with urllib.request.urlopen(f"{url}/live/{avatar.resolve().name}/live.mjpg", timeout=60) as stream:
            assert b"\xff\xd8\xff" in stream.read(4000)
        print("a live picture came")
    finally:
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(40)
        print(f"ended {time.monotonic() - begun:.1f} s after SIGTERM, status {process.returncode}")


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--arg", action="append", default=[], help="NAME=VALUE of an ARG")
    parser.add_argument("--avatar", type=Path)
    parser.add_argument("--reuse", action="store_true", help="take what an earlier call has built")
    given = parser.parse_args()
    build = Build(given.root.resolve(), given.work.resolve(), dict(one.split("=", 1) for one in given.arg))
    given.work.mkdir(parents=True, exist_ok=True)
    for word, rest in steps():
        if not given.reuse or word in ("ENV", "USER"):
            build.step(word, rest)
    last = given.work.resolve() / "last"
    mb = size_mb(last)
    print(f"the last stage has {mb:.0f} MB, of which {size_mb(last / 'opt/gtalk'):.0f} MB the environment")
    if given.avatar is not None:
        try_out(last, build, given.avatar, given.work)
    sys.exit(mb > MOST_MB)


if __name__ == "__main__":
    main()
