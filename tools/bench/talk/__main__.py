"""How soon an avatar answers and how soon it is quiet, seen from the receiving end of its page's socket.

    python -m tools.bench.talk AVATAR [--turns 10] [--voice en-us] [--strip OUT.png]

A scripted model on this machine answers at once and streams; espeak-ng speaks; a client takes the page's pictures and
sound. `text -> picture`: from the message sent to the first picture of speech that came. `clause -> picture`: from when
the model had sent the first clause. `cut -> silence`: from an interrupting message to the last sound that came.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import struct
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin

from gtalk.agents.chat import ChatConfig, Talks
from gtalk.agents.persona import Persona
from gtalk.compute.threads import compute_on
from gtalk.types import AUDIO_RATE
from gtalk.viewer.config import ViewConfig
from gtalk.viewer.server import LiveServer, cast_of, drawing_threads

FIRST, REST = (
    "[smile .5] Hello my friend! ",
    "[nod] I am made of a few minutes of film, but maybe you would never have guessed it. [surprised .6] Oh, really? "
    "[neutral] Please ask me whatever you like, and I will tell you all about bees, boats and umbrellas.",
)
_LOUD = 0.01
_HEAD = struct.Struct("<cddffBI")


@dataclass
class Seen:
    """What came: pictures with their sound, and when."""

    at_s: list[float] = field(default_factory=list)
    jpegs: list[bytes] = field(default_factory=list)
    sound: list[np.ndarray] = field(default_factory=list)
    notices: list[tuple[float, str]] = field(default_factory=list)

    def take(self, message: bytes | str) -> None:
        """One message of the page's socket."""
        now_s = time.monotonic()
        if isinstance(message, str):
            if "notice" in (told := json.loads(message)):
                self.notices.append((now_s, told["notice"]))
        elif message[:1] == b"F":
            size = _HEAD.unpack_from(message)[-1]
            begin = _HEAD.size
            self.at_s.append(now_s)
            self.jpegs.append(message[begin : begin + size])
            self.sound.append(np.frombuffer(message[begin + size :], "<i2") / 32768)

    def loud(self) -> np.ndarray:
        """[N] when pictures with sound came."""
        pairs = zip(self.at_s, self.sound, strict=True)
        return np.array([at_s for at_s, sound in pairs if len(sound) and np.abs(sound).max() > _LOUD])


class Model(ThreadingHTTPServer):
    """Answers FIRST at once, and then REST word by word."""

    daemon_threads = True
    first_s: ClassVar[list[float]] = []

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """For --llm."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Answers(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            self._event(FIRST)
            Model.first_s.append(time.monotonic())
            for word in REST.split(" "):
                time.sleep(0.02)
                self._event(word + " ")
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:  # who asked hung up
            return

    def _event(self, text: str) -> None:
        data = json.dumps({"choices": [{"delta": {"content": text}}]})
        self.wfile.write(f"data: {data}\n\n".encode())
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--voice", default="en-us")
    parser.add_argument("--strip", type=Path)
    options = parser.parse_args()
    view = ViewConfig(port=0)
    cast, identity = cast_of(options.avatar, view)
    compute_on(drawing_threads(cast().avatar.kind, 0))
    model, server = Model(), LiveServer(cast, view, print, identity)
    talks = Talks(ChatConfig(model.url, "scripted", voice=options.voice), Persona(apology=""))
    talks.warm()
    server.rooms.on_open = talks.join
    server.start()
    try:
        asyncio.run(_measure(server, options.turns, options.strip))
    finally:
        server.stop()


async def _measure(server: LiveServer, turns: int, strip: Path | None) -> None:
    rows: list[tuple[float, float, float]] = []
    address = server.url.replace("http", "ws") + "media"
    async with connect(address, origin=Origin(server.url[:-1]), max_size=None) as page:
        await _watch(page, Seen(), 2.0)
        for turn in range(turns):
            seen = Seen()
            sent_s = time.monotonic()
            await page.send(json.dumps({"do": "say", "text": "Who are you?"}))
            await _watch(page, seen, 2.5 + 0.13 * turn)
            begun_s = seen.loud()[0]
            cut_s, after = time.monotonic(), Seen()
            server.main.session.interrupt() if turn % 2 else await page.send(json.dumps({"do": "stop"}))
            await _watch(page, after, 1.0)
            last = after.loud()
            quiet_s = (last[-1] if len(last) else cut_s) - cut_s
            rows.append((begun_s - sent_s, begun_s - Model.first_s[-1], quiet_s))
        if strip is not None:
            seen = Seen()
            await page.send(json.dumps({"do": "say", "text": "Who are you?"}))
            await _watch(page, seen, 14.0)
            _draw(seen, strip)
            print(*(f"{at_s - seen.at_s[0]:6.2f} s  {words}" for at_s, words in seen.notices), sep="\n")
        stats = server.main.session.stats()
    print(f"{'':20}{'median':>9}{'worst':>9}   ms, of {turns}")
    for name, values in zip(("text -> picture", "clause -> picture", "cut -> silence"), np.array(rows).T, strict=True):
        print(f"{name:20}{np.median(values) * 1e3:9.0f}{values.max() * 1e3:9.0f}")
    print(f"{stats.fps:.1f} images a second, {server.main.session.n_dropped} dropped")


async def _watch(page: ClientConnection, seen: Seen, seconds: float) -> None:
    end_s = time.monotonic() + seconds
    while (left_s := end_s - time.monotonic()) > 0:
        try:
            seen.take(await asyncio.wait_for(page.recv(), left_s))
        except TimeoutError:
            return


def _draw(seen: Seen, path: Path) -> None:
    """Pictures that came, over their sound and what the page was told."""
    import cv2
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    sound = np.concatenate(seen.sound)
    begin = max(0, int(np.flatnonzero(np.abs(sound) > _LOUD)[0] / AUDIO_RATE * 25) - 20)
    chosen = np.linspace(begin, len(seen.jpegs) - 1, 24).astype(int)
    figure, axes = pyplot.subplots(4, 12, figsize=(24, 10), height_ratios=(4, 1, 4, 1))
    for half in (0, 1):
        mine = chosen[12 * half : 12 * half + 12]
        for axis, i in zip(axes[2 * half], mine, strict=True):
            image = cv2.imdecode(np.frombuffer(seen.jpegs[i], np.uint8), cv2.IMREAD_COLOR)
            axis.imshow(image[:, :, ::-1]) if image is not None else None
            axis.set_title(f"{i / 25:.2f} s", fontsize=8)
            axis.axis("off")
        grid = axes[2 * half + 1, 0].get_gridspec()
        for axis in axes[2 * half + 1]:
            axis.remove()
        wave = figure.add_subplot(grid[2 * half + 1, :])
        first, last = mine[0] * 640, mine[-1] * 640 + 640
        wave.plot(np.arange(first, last) / AUDIO_RATE, sound[first:last], linewidth=0.4)
        wave.set_xlim(first / AUDIO_RATE, last / AUDIO_RATE)
    figure.tight_layout()
    figure.savefig(path, dpi=60)


if __name__ == "__main__":
    main()
