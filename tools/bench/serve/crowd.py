"""What a crowd at the door of `gtalk serve` does to who talks there; and ten minutes of it, for memory.

    python tools/bench/serve/crowd.py AVATAR [--phases 4] [--seconds 30] [--soak MINUTES] [--json OUT.json]

A server in a process of its own; a visitor watches a live page through its socket (pictures drawn by the server) and
notes when each picture arrives against the instant that it shows. Phases without and with a crowd take turns, so that
other work on the machine falls on both: 200 connections that say nothing, 50 that send a request's head a line a
second; whoever is turned away comes back a second later. A picture's delay is counted from the quickest of all.

--soak: crowd, visitors that come and go, a short dub every minute, and the server's memory, with its workers'.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from tools.bench.machine import line  # noqa: E402

IDLE, SLOW = 200, 50
MOST_DELAY_MS = 20.0
_HEAD = b"GET /v1/avatars HTTP/1.1\r\nHost: localhost\r\n"
_FLAT_MB_PER_MINUTE = 2.0


async def idle(port: int) -> None:
    """A connection that says nothing, over and over."""
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await reader.read()
            writer.close()
        await asyncio.sleep(1.0)


async def slow(port: int) -> None:
    """A request's head, a line a second, that never ends."""
    while True:
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(_HEAD)
            for number in range(1000):
                writer.write(f"X-Line-{number}: x\r\n".encode())
                await writer.drain()
                await asyncio.sleep(1.0)
        await asyncio.sleep(1.0)


async def crowd(port: int) -> None:
    """All of them, until the process is ended."""
    await asyncio.gather(*(idle(port) for _ in range(IDLE)), *(slow(port) for _ in range(SLOW)))


@contextmanager
def crowded(port: int, wanted: bool) -> Iterator[None]:
    """A crowd in a process of its own, where it is wanted."""
    command = [sys.executable, __file__, "--crowd", str(port)]
    process = subprocess.Popen(command) if wanted else None
    try:
        yield
    finally:
        if process is not None:
            process.kill()
            process.wait()


@contextmanager
def serving(avatar: Path, folder: Path) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """`gtalk serve`, and its port."""
    command = [sys.executable, "-m", "gtalk", "serve", str(avatar), "--port", "0", "--jobs", str(folder), "--draw",
               "server", "--workers", "1"]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stderr is not None
    try:
        said = ""
        for said in process.stderr:
            if "open http" in said:
                break
        else:
            raise SystemExit(f"the server ended: {said}")
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield int(said.rpartition(":")[2].partition("/")[0]), process
    finally:
        process.terminate()
        process.wait(30)


async def watch(port: int, name: str, seconds: float, settle_s: float = 3.0) -> np.ndarray:
    """Arrival minus shown instant of each picture, in seconds on one clock for all watchers, and ticks without one."""
    arrivals: list[tuple[float, float]] = []
    url = f"ws://127.0.0.1:{port}/live/{name}/media"
    async with connect(url, open_timeout=60, ping_interval=None, max_size=1 << 24) as socket:
        begun = time.perf_counter()
        while (now := time.perf_counter()) - begun < settle_s + seconds:
            message = await asyncio.wait_for(socket.recv(), 30)
            if isinstance(message, bytes) and message[:1] == b"F" and now - begun > settle_s:
                shown_s = struct.unpack_from("<d", message, 1)[0]
                has_picture = struct.unpack_from("<I", message, 26)[0] > 0
                arrivals.append((time.perf_counter() - shown_s if has_picture else np.nan, shown_s))
    return np.array([one for one, _ in arrivals])


def row(name: str, lags_s: np.ndarray, best_s: float) -> dict[str, float | str]:
    """What a phase was like, in milliseconds after the quickest picture of the run."""
    seen = 1e3 * (lags_s[~np.isnan(lags_s)] - best_s)
    p50, p95, p99 = np.percentile(seen, (50, 95, 99))
    return {"phase": name, "pictures": len(seen), "left_out": int(np.isnan(lags_s).sum()), "p50_ms": round(p50, 1),
            "p95_ms": round(p95, 1), "p99_ms": round(p99, 1), "most_ms": round(float(seen.max()), 1)}  # fmt: skip


def compared(port: int, name: str, phases: int, seconds: float) -> dict[str, object]:
    """Phases in turn, and both kinds together."""
    found: list[tuple[bool, np.ndarray]] = []
    for number in range(phases):
        with_crowd = number % 2 == 1
        with crowded(port, with_crowd):
            found.append((with_crowd, asyncio.run(watch(port, name, seconds, 12.0 if with_crowd else 3.0))))
        print(f"phase {number + 1} of {phases}, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    if any(np.isnan(lags).all() for _, lags in found):
        raise SystemExit("A phase had no picture: the machine is too busy to draw at all.")
    best_s = float(min(np.nanmin(lags) for _, lags in found))
    rows = [row("crowd" if with_crowd else "alone", lags, best_s) for with_crowd, lags in found]
    alone, beside = (
        row(word, np.concatenate([lags for crowd_there, lags in found if crowd_there == there]), best_s)
        for word, there in (("alone", False), ("crowd", True))
    )
    delays = {key: round(float(beside[key]) - float(alone[key]), 1) for key in ("p50_ms", "p95_ms", "p99_ms")}
    good = delays["p50_ms"] <= MOST_DELAY_MS and delays["p95_ms"] <= MOST_DELAY_MS
    return {"phases": rows, "alone": alone, "crowd": beside, "delayed_by": delays, "good": good}


def memory_mb(process: subprocess.Popen[str]) -> tuple[float, float]:
    """Resident memory of the server alone, and of its workers."""
    pids = {process.pid: [0]}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            if parent == process.pid:
                pids[int(status.parent.name)] = [0]
    sizes: dict[int, float] = {}
    for pid in pids:
        with suppress(OSError, IndexError):
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            sizes[pid] = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    own = sizes.pop(process.pid, 0.0)
    return own, sum(sizes.values())


async def come_and_go(port: int, name: str, until_s: float) -> int:
    """Visitors that look for two seconds each; how many there were."""
    visits = 0
    while time.perf_counter() < until_s:
        with suppress(OSError, TimeoutError, WebSocketException):
            await asyncio.to_thread(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/live/{name}/").read())
            await watch(port, name, 2.0, 0.0)
            visits += 1
        await asyncio.sleep(3.0)
    return visits


def dub(port: int, name: str) -> None:
    """Asks for a short one."""
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/avatars/{name}/dubs", json.dumps({"text": "One, two, three."}).encode(),
        {"Content-Type": "application/json"},
    )  # fmt: skip
    with suppress(OSError):
        urllib.request.urlopen(asked, timeout=20).read()


def soaked(port: int, name: str, minutes: float, process: subprocess.Popen[str]) -> dict[str, object]:
    """Memory over minutes of everything at once."""
    until_s = time.perf_counter() + 60 * minutes
    sizes: list[tuple[float, float, float]] = []
    visits: list[int] = []
    watched: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: watched.append(asyncio.run(watch(port, name, 60 * minutes - 5)))),
        threading.Thread(target=lambda: visits.append(asyncio.run(come_and_go(port, name, until_s)))),
    ]
    with crowded(port, True):
        for one in threads:
            one.start()
        begun, asked = time.perf_counter(), 0
        while (now := time.perf_counter()) < until_s:
            if (now - begun) / 60 > asked:
                asked += 1
                dub(port, name)
            sizes.append((now - begun, *memory_mb(process)))
            time.sleep(2.0)
        for one in threads:
            one.join()
    table = np.array(sizes)
    settled = table[table[:, 0] > min(120.0, 20 * minutes)]
    slope = float(np.polyfit(settled[:, 0] / 60, settled[:, 1], 1)[0])
    lags = watched[0]
    return {
        "minutes": minutes, "visits": visits[0], "dubs_asked": asked, "server_mb_first": round(settled[0, 1], 1),
        "server_mb_last": round(settled[-1, 1], 1), "server_mb_per_minute": round(slope, 2),
        "workers_mb_last": round(settled[-1, 2], 1), "pictures": int((~np.isnan(lags)).sum()),
        "left_out": int(np.isnan(lags).sum()), "good": slope < _FLAT_MB_PER_MINUTE,
    }  # fmt: skip


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path, nargs="?")
    parser.add_argument("--phases", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--soak", type=float, default=0.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--crowd", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.crowd:
        asyncio.run(crowd(given.crowd))
        return
    print(line())
    name = given.avatar.resolve().name
    with tempfile.TemporaryDirectory() as folder, serving(given.avatar, Path(folder)) as (port, process):
        asyncio.run(watch(port, name, 3.0))  # opens the page
        found: dict[str, object] = {}
        if given.phases:
            found["compared"] = compared(port, name, given.phases, given.seconds)
        if given.soak:
            found["soak"] = soaked(port, name, given.soak, process)
        found["load"] = round(os.getloadavg()[0], 1)
    print(json.dumps(found, indent=1))
    if given.json is not None:
        given.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
