"""Floods against a live server in a process of its own: what they cost it, what an honest visitor gets meanwhile."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import viser
from viser.infra import _infra
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

ROOT = Path(__file__).resolve().parents[3]
SERVER = """
import json, sys, threading
from pathlib import Path
from gtalk.viewer.config import ViewConfig
from gtalk.viewer.server import LiveServer
from tests.viewer.live_servers import toy_cast
options = json.loads(sys.argv[1])
options = {name: Path(value) if name.startswith("tls") else value for name, value in options.items()}
server = LiveServer(toy_cast(128), ViewConfig(port=0, size=128, **options))
server.start()
print(server.url, flush=True)
sys.stdin.read()
server.stop()
"""
PROTOCOL = Subprotocol(f"viser-v{viser.__version__}")
_BASELINE_S = 10.0  # in which it is seen what a page that looks takes
_CLOSED = (OSError, WebSocketException, asyncio.IncompleteReadError, TimeoutError)
Attack = Callable[[str], Awaitable[None]]
"""Attacks the server at an address, on and on."""


@dataclass(frozen=True)
class Cost:
    """What a flood took from the server, beyond what it takes for one page that looks."""

    core: float
    """Share of a core."""
    memory_mb: float
    """The most at any time."""
    log_kb: float
    """Written to its log."""
    waited_s: float
    """How long an honest visitor waited for the page, at worst; infinite where it never came."""
    fps: float
    """Pictures a second that an honest page got; 25 are drawn."""
    alive: bool


@contextlib.contextmanager
def server(folder: Path, **options: object) -> Iterator[tuple[subprocess.Popen[str], str, Path]]:
    """A server with an avatar of toys: (process, address, its log)."""
    log = folder / "log"
    with log.open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, json.dumps(options)], env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, cwd=ROOT,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip(), log
    finally:
        process.kill()
        process.communicate()


def flood(folder: Path, attack: Attack, seconds: float, **options: object) -> Cost:
    """Run an attack against a fresh server for so long, while an honest page looks at its session."""
    with server(folder, **options) as (process, url, log):
        return asyncio.run(_attacked(process, url, log, attack, seconds))


async def _attacked(process: subprocess.Popen[str], url: str, log: Path, attack: Attack, seconds: float) -> Cost:
    pid, frames = process.pid, [0]
    watching = asyncio.create_task(_watch(url, frames))
    await asyncio.sleep(3.0)
    idle_s, begin_mb = _spent_s(pid), _resident_mb(pid)
    await asyncio.sleep(_BASELINE_S)
    own = (_spent_s(pid) - idle_s) / _BASELINE_S
    before_s, begin_s, frames[0] = _spent_s(pid), time.monotonic(), 0
    task = asyncio.create_task(attack(url))
    most_mb, waits_s = begin_mb, [0.0]
    visit: asyncio.Task[float] | None = None
    while time.monotonic() - begin_s < seconds:
        await asyncio.sleep(0.1)
        most_mb = max(most_mb, _resident_mb(pid))
        if visit is None or visit.done():
            waits_s += [visit.result()] if visit is not None else []
            visit = asyncio.create_task(_honest(url))
    spent_s, took_s = _spent_s(pid) - before_s, time.monotonic() - begin_s
    waits_s += [await visit] if visit is not None else []
    for each in (task, watching):
        each.cancel()
    await asyncio.gather(task, watching, return_exceptions=True)
    alive = process.poll() is None
    share, grown_mb, log_kb = spent_s / took_s - own, most_mb - begin_mb, log.stat().st_size / 1e3
    return Cost(share, grown_mb, log_kb, max(waits_s), frames[0] / took_s, alive)


async def _watch(url: str, frames: list[int]) -> None:
    """An honest page, which counts its pictures."""
    parts = urlsplit(url)
    options = {"ssl": _trusting()} if parts.scheme == "https" else {}
    address = f"ws{url[4:].partition('?')[0]}media?{parts.query}"
    async with connect(address, max_size=None, **options) as page:
        async for message in page:
            frames[0] += isinstance(message, bytes)


def _trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def _honest(url: str) -> float:
    """Seconds until the page is there, twice a second at most."""
    await asyncio.sleep(0.5)
    begin_s = time.monotonic()
    try:
        async with asyncio.timeout(20), _socket(url) as (reader, writer):
            parts = urlsplit(url)
            writer.write(f"GET /?{parts.query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            if b"<title>gtalk" not in await reader.read():
                return float("inf")
    except _CLOSED:
        return float("inf")
    return time.monotonic() - begin_s


@contextlib.asynccontextmanager
async def _socket(url: str, tls: bool = True) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    parts = urlsplit(url)
    context = _trusting() if parts.scheme == "https" and tls else None
    reader, writer = await asyncio.open_connection("127.0.0.1", parts.port, ssl=context, limit=1 << 20)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def _many(count: int, work: Callable[[], Awaitable[None]]) -> None:
    """`count` at once, each on and on, whatever closes them."""

    async def again() -> None:
        while True:
            with contextlib.suppress(*_CLOSED):
                await work()
            await asyncio.sleep(0)

    await asyncio.gather(*(again() for _ in range(count)))


def holding(data: bytes, count: int = 200, tls: bool = False) -> Attack:
    """Connections that send this and then nothing, and read nothing."""

    async def attack(url: str) -> None:
        async def hold() -> None:
            async with _socket(url, tls) as (_, writer):
                writer.transport.pause_reading()  # type: ignore[attr-defined]
                writer.write(data)
                while not writer.transport.is_closing():
                    await asyncio.sleep(0.5)
                    writer.write(b"" if tls else data[:0])

        await _many(count, hold)

    return attack


def asking(request: Callable[[int], str], count: int = 32) -> Attack:
    """Requests, one after the other."""

    async def attack(url: str) -> None:
        numbers = iter(range(1 << 40))

        async def ask() -> None:
            async with _socket(url) as (reader, writer):
                writer.write(request(next(numbers)).encode())
                await asyncio.wait_for(reader.read(), 10)

        await _many(count, ask)

    return attack


def get(path: str, **headers: str) -> str:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in {"Host": "localhost", **headers}.items()]
    return "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""])


def telling(path: str, messages: Callable[[int, str], str | bytes], count: int = 1, hello: bytes = b"") -> Attack:
    """WebSocket messages as fast as they go; opened again when they are closed. Answers are not looked at.

    `messages` is given the number of the message and, on the panel, the name of a slider.
    """

    async def attack(url: str) -> None:
        address = "ws" + url[4:].partition("?")[0] + path
        panel = path.startswith("viser")

        async def tell() -> None:
            protocols = [PROTOCOL] if panel else None
            async with connect(address, subprotocols=protocols, max_size=None, close_timeout=0.2) as client:
                slider = _slider(await client.recv()) if panel else ""
                reader = asyncio.create_task(_ignore(client))
                try:
                    if hello:
                        await client.send(hello)
                    for number in range(1 << 40):
                        await client.send(messages(number, slider))
                        if number % 16 == 0:
                            await asyncio.sleep(0)
                finally:
                    reader.cancel()

        await _many(count, tell)

    return attack


def _slider(first: str | bytes) -> str:
    """The name of a slider, out of the first message that a panel is sent."""
    assert isinstance(first, bytes)
    size = int.from_bytes(first[8:16], "little")
    told = _infra.msgspec.msgpack.decode(_infra.zstandard.ZstdDecompressor().decompress(first[16 : 16 + size]))
    return next((m["uuid"] for m in told["messages"] if m["type"] == "GuiSliderMessage"), "none")


async def _ignore(client: ClientConnection) -> None:
    with contextlib.suppress(*_CLOSED):
        async for _ in client:
            pass


def framing(path: str, first: bytes, frame: bytes, count: int = 1) -> Attack:
    """Raw frames, of which the client reads no answer."""

    async def attack(url: str) -> None:
        async def push() -> None:
            key = base64.b64encode(os.urandom(16)).decode()
            upgrade = {
                "Upgrade": "websocket",
                "Connection": "Upgrade",
                "Sec_WebSocket_Key": key,
                "Sec_WebSocket_Version": "13",
            }
            async with _socket(url) as (reader, writer):
                writer.write(get(f"/{path}", **upgrade).encode())
                await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
                writer.transport.pause_reading()  # type: ignore[attr-defined]
                writer.write(first)
                while not writer.transport.is_closing():
                    writer.write(frame * 500)
                    await writer.drain()
                    await asyncio.sleep(0)

        await _many(count, push)

    return attack


def raw_frame(kind: int, payload: bytes = b"", last: bool = True) -> bytes:
    """A masked frame of less than 126 bytes; the mask is zero."""
    return bytes([kind | 0x80 * last, 0x80 | len(payload)]) + bytes(4) + payload


def packed(kind: str, **fields: object) -> bytes:
    """A message as viser's page packs it."""
    return _infra.msgspec.msgpack.encode({"type": kind, **fields})


def microphone(samples: int) -> bytes:
    """A piece of a microphone's sound."""
    return b"M" + struct.pack("<Id", 48_000, 0.0) + bytes(2 * samples)


def _spent_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return 0.0
