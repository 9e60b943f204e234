"""A face in a real Pipecat pipeline, seen from the other end of its small WebRTC transport.

    python -m tools.bench.talk.pipecat_face AVATAR [--turns 6] [--strip OUT.png]

A scripted model answers, espeak-ng speaks, `GtalkVideo` shows it, and an aiortc peer in a process of its own receives.
Then answers are interrupted. Printed: pictures a second, the last sound that came after the interruption, and the
position of playback that the service tells, every 50 ms, against the sound that had come by then (as packets: how long
a receiver keeps them back is the receiver's).
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import numpy as np
import uvicorn
from loguru import logger
from pipecat.frames.frames import (
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TextFrame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineTask
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from gtalk.agents.pipecat import GtalkVideo
from gtalk.compute.threads import compute_on
from gtalk.marks.leaving import Leaving
from gtalk.types import AUDIO_RATE
from gtalk.viewer.config import ViewConfig
from gtalk.viewer.live.session import LiveSession
from gtalk.viewer.server import cast_of, drawing_threads
from gtalk.voice.voices import open_voice

ANSWER = ("Hello my friend! ", "I am made of a few minutes of film. ", "Please ask me about bees, boats and umbrellas.")
_LOUD = 0.02
_PACKET = 960
Turn = tuple[float, float, list[tuple[float, float]]]


class ScriptedModel(FrameProcessor):
    """Answers every text in ANSWER's clauses, as a streaming model does."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, TextFrame):
            await self.push_frame(frame, direction)
            return
        await self.push_frame(LLMFullResponseStartFrame())
        for clause in ANSWER:
            for word in clause.split(" "):
                await self.push_frame(LLMTextFrame(word + " "))
                await asyncio.sleep(0.01)
        await self.push_frame(LLMFullResponseEndFrame())


class Espeak(TTSService):
    """A voice of gtalk's as a voice of Pipecat's."""

    def __init__(self) -> None:
        settings = TTSSettings(model=None, voice="en-us", language=None)
        super().__init__(sample_rate=AUDIO_RATE, push_stop_frames=True, settings=settings)
        self._voice = open_voice("en-us", 170)

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame, None]:
        said = await asyncio.to_thread(self._voice.say, text)
        pcm = (said.samples * 32767).astype("<i2").tobytes()
        yield TTSAudioRawFrame(pcm, AUDIO_RATE, 1, context_id=context_id)


class Door:
    """WHEP for the transport's one peer."""

    def __init__(self, connection: SmallWebRTCConnection) -> None:
        self._connection, self.entered = connection, asyncio.Event()
        routes = [Route("/whep", self._enter, methods=["POST", "DELETE"])]
        self._server = uvicorn.Server(uvicorn.Config(Router(routes), port=0, log_level="warning"))
        self._server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]

    async def open(self) -> str:
        self._task = asyncio.create_task(self._server.serve())
        while not self._server.started:
            await asyncio.sleep(0.05)
        return f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}/whep"

    async def close(self) -> None:
        self._server.should_exit = True
        await self._task

    async def _enter(self, request: Request) -> Response:
        if request.method == "POST":
            await self._connection.initialize(sdp=(await request.body()).decode(), type="offer")
            await self._connection.connect()
            self.entered.set()
            answer = self._connection.get_answer()["sdp"]
            return Response(answer, 201, {"Location": "whep"}, "application/sdp")
        return Response()


class Heard:
    """What the peer got, told on the clock of both processes."""

    def __init__(self, seen: dict[str, np.ndarray]) -> None:
        self.small, self.pictures_s = seen["small"], seen["pictures"][:, 0]
        self.sound_s, self.first_pts = seen["sound"][:, 0], seen["sound"][:, 1]
        self.samples = seen["samples"]
        self._packets_s, rtp = seen["packets"][:, 0], seen["packets"][:, 1]
        self._came = np.maximum.accumulate((rtp - seen["first"][1]).astype(np.int64)) + _PACKET
        self._loud_at = np.flatnonzero(np.abs(self.samples) > _LOUD) + int(self.first_pts[0])

    def came(self, at_s: float) -> int:
        """Samples at 48 kHz that had come by then."""
        i = int(np.searchsorted(self._packets_s, at_s)) - 1
        return int(self._came[i])

    def loud(self, begin_s: float, end_s: float) -> np.ndarray:
        """Loud samples that came between."""
        return self._loud_at[(self._loud_at >= self.came(begin_s)) & (self._loud_at < self.came(end_s))]

    def when(self, sample: int) -> float:
        """When a sample came."""
        return float(self._packets_s[min(int(np.searchsorted(self._came, sample, "right")), len(self._came) - 1)])


async def run(avatar: Path, strip: Path | None, turns: int) -> None:
    cast, identity = cast_of(avatar, ViewConfig())
    talker = cast()
    compute_on(drawing_threads(talker.avatar.kind, 0))
    session = LiveSession(talker, leaving=Leaving(identity), report=print)
    session.start()
    connection = SmallWebRTCConnection(ice_servers=[])
    width, height = talker.view.size
    params = TransportParams(
        audio_out_enabled=True, video_out_enabled=True, video_out_is_live=True, video_out_width=width,
        video_out_height=height, video_out_framerate=25, audio_out_sample_rate=AUDIO_RATE,
    )  # fmt: skip
    transport, face = SmallWebRTCTransport(connection, params), GtalkVideo(session)
    parts = [transport.input(), ScriptedModel(), Espeak(), face, transport.output(), face.played]
    task = PipelineTask(Pipeline(parts), cancel_on_idle_timeout=False)
    runner = asyncio.create_task(PipelineRunner(handle_sigint=False).run(task))
    door = Door(connection)
    url = await door.open()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "heard.npz"
        words = [sys.executable, "-m", "tools.bench.rtc.receiver", url, str(out), str(17 + 5.2 * turns)]
        peer = subprocess.Popen([*words, "--small"] if strip else words)
        await asyncio.wait_for(door.entered.wait(), 60.0)
        await asyncio.sleep(4.0)
        asked_s = time.monotonic()
        await task.queue_frame(TextFrame("Who are you?"))
        await asyncio.sleep(11.0)
        cuts = [await interrupted(task, face, turn) for turn in range(turns)]
        await asyncio.to_thread(peer.wait)
        heard = Heard(dict(np.load(out)))
    tell(heard, asked_s, cuts)
    await task.cancel()
    await door.close()
    runner.cancel()
    session.stop()
    if strip is not None:
        draw(heard, heard.when(heard.loud(asked_s, asked_s + 10)[0]) - 0.2, strip)
        cut_s = cuts[-1][1]
        draw(heard, cut_s - 0.6, strip.with_stem(strip.stem + "_cut"), 1.4, cut_s)


async def interrupted(
    task: PipelineTask, face: GtalkVideo, turn: int
) -> tuple[float, float, list[tuple[float, float]]]:
    """A turn that is cut short: (asked, cut, [(when, position told)])."""
    begun_s, told = time.monotonic(), []
    await task.queue_frame(TextFrame("And?"))
    until_s = begun_s + 2.5 + 0.17 * turn % 0.9
    while time.monotonic() < until_s:
        await asyncio.sleep(0.05)
        told.append((time.monotonic(), face.position_s))
    cut_s = time.monotonic()
    await task.queue_frame(InterruptionFrame())
    await asyncio.sleep(1.5)
    return begun_s, cut_s, told


def tell(heard: Heard, asked_s: float, cuts: list[Turn]) -> None:
    said = open_voice("en-us", 170).say(ANSWER[0].strip()).samples
    lead_s = int(np.argmax(np.abs(said) > _LOUD)) / AUDIO_RATE  # silence that an utterance begins with
    at_s = heard.pictures_s[heard.pictures_s > asked_s]
    first_s = heard.when(heard.loud(asked_s, asked_s + 10)[0])
    print(f"first sound {1e3 * (first_s - asked_s):.0f} ms after the question; "
          f"{(len(at_s) - 1) / (at_s[-1] - at_s[0]):.1f} pictures a second")  # fmt: skip
    print(f"{'said':>6}{'told':>8}{'came':>8}{'off, ms: median':>17}{'worst':>8}{'sound after the cut, ms':>25}")
    for begun_s, cut_s, told in cuts:
        loud = heard.loud(begun_s, cut_s + 1.4)
        first = loud[0]
        off = [
            1e3 * (position_s - (heard.came(at_s) - first) / 48_000) for at_s, position_s in told if position_s > 0.1
        ]
        quiet_ms = 1e3 * (heard.when(loud[-1]) - cut_s)
        print(f"{cut_s - begun_s:6.2f}{told[-1][1]:8.3f}{(heard.came(cut_s) - first) / 48_000 + lead_s:8.3f}"
              f"{np.median(off):17.0f}{off[int(np.argmax(np.abs(off)))]:8.0f}{quiet_ms:25.0f}")  # fmt: skip


def draw(heard: Heard, begin_s: float, path: Path, seconds: float = 4.0, cut_s: float | None = None) -> None:
    """What came: faces over the sound that came with them, and a line where somebody cut in."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    chosen = np.linspace(begin_s, begin_s + seconds, 14, endpoint=False)
    times = heard.pictures_s
    figure, axes = pyplot.subplots(2, 14, figsize=(28, 5), height_ratios=(3, 1))
    for axis, at_s in zip(axes[0], chosen, strict=True):
        i = max(0, int(np.searchsorted(times, at_s, "right")) - 1)  # what is seen then
        height, width = heard.small[i].shape[:2]
        axis.imshow(heard.small[i][height // 20 : height * 7 // 10, width // 4 : width * 3 // 4])
        axis.set_title(f"{times[i] - begin_s:.2f} s", fontsize=16)
        axis.axis("off")
    grid = axes[1, 0].get_gridspec()
    for axis in axes[1]:
        axis.remove()
    wave = figure.add_subplot(grid[1, :])
    first, last = heard.came(begin_s), heard.came(begin_s + seconds)
    values = heard.samples[first:last]
    wave.plot(np.arange(len(values)) / 48_000, values, "C0", linewidth=0.4)
    wave.set_xlim(0, seconds)
    wave.tick_params(labelsize=14)
    if cut_s is not None:
        wave.axvline(cut_s - begin_s, color="C3", linewidth=3)
    figure.tight_layout()
    figure.savefig(path, dpi=50)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("--strip", type=Path)
    parser.add_argument("--turns", type=int, default=6, help="that are interrupted")
    options = parser.parse_args()
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    asyncio.run(run(options.avatar, options.strip, options.turns))
