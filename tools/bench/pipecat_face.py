"""A face in a real Pipecat pipeline, seen from the other end of its small WebRTC transport.

    python -m tools.bench.pipecat_face AVATAR [--strip OUT.png]

A scripted model answers, espeak-ng speaks, `GtalkVideo` shows it, and an aiortc peer receives. Then a second answer is
interrupted. Printed: pictures a second, the last sound after the interruption, and the position of playback that the
service tells against what the peer had heard by then.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
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
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport

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
        super().__init__(sample_rate=AUDIO_RATE, push_stop_frames=True)
        self._voice = open_voice("en-us", 170)

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame, None]:
        said = await asyncio.to_thread(self._voice.say, text)
        pcm = (said.samples * 32767).astype("<i2").tobytes()
        yield TTSAudioRawFrame(pcm, AUDIO_RATE, 1, context_id=context_id)


class Watcher:
    """What the peer got."""

    def __init__(self) -> None:
        self.pictures: list[tuple[float, np.ndarray]] = []
        self.sound: list[tuple[float, np.ndarray]] = []

    async def follow(self, track) -> None:
        while True:
            frame = await track.recv()
            now_s = time.monotonic()
            if track.kind == "video":
                self.pictures.append((now_s, frame.to_ndarray(format="rgb24")[::3, ::3]))
            else:
                values = frame.to_ndarray().reshape(-1, len(frame.layout.channels)).mean(1) / 32768
                self.sound.append((now_s, values))

    def loud(self) -> np.ndarray:
        return np.array([at_s for at_s, values in self.sound if np.abs(values).max() > _LOUD])


async def run(avatar: Path, strip: Path | None) -> None:
    cast, identity = cast_of(avatar, ViewConfig())
    talker = cast()
    compute_on(drawing_threads(talker.avatar.kind, 0))
    session = LiveSession(talker, leaving=Leaving(identity), report=print)
    session.start()
    peer, watcher, tasks = RTCPeerConnection(RTCConfiguration([])), Watcher(), []
    for kind in ("audio", "video"):  # the order that Pipecat's transport knows
        peer.addTransceiver(kind, direction="sendrecv")
    peer.on("track", lambda track: tasks.append(asyncio.create_task(watcher.follow(track))))
    await peer.setLocalDescription(await peer.createOffer())
    connection = SmallWebRTCConnection(ice_servers=[])
    await connection.initialize(sdp=peer.localDescription.sdp, type="offer")
    width, height = talker.view.size
    params = TransportParams(
        audio_out_enabled=True, video_out_enabled=True, video_out_is_live=True, video_out_width=width,
        video_out_height=height, video_out_framerate=25, audio_out_sample_rate=AUDIO_RATE,
    )  # fmt: skip
    transport, face = SmallWebRTCTransport(connection, params), GtalkVideo(session)
    task = PipelineTask(Pipeline([transport.input(), ScriptedModel(), Espeak(), face, transport.output()]))
    runner = asyncio.create_task(PipelineRunner(handle_sigint=False).run(task))
    await asyncio.sleep(0.5)
    await peer.setRemoteDescription(RTCSessionDescription(connection.get_answer()["sdp"], "answer"))
    await asyncio.sleep(3.0)
    asked_s = time.monotonic()
    await task.queue_frame(TextFrame("Who are you?"))
    await asyncio.sleep(12.0)
    at_s = np.array([one for one, _ in watcher.pictures if one > asked_s])
    print(f"first sound {1e3 * (watcher.loud()[0] - asked_s):.0f} ms after the question; "
          f"{(len(at_s) - 1) / (at_s[-1] - at_s[0]):.1f} pictures a second")  # fmt: skip
    print(f"{'said':>6}{'told':>8}{'heard':>8}{'after':>8}   s of the utterance; sound after the cut, ms")
    for turn in range(4):
        begun_s = time.monotonic()
        await task.queue_frame(TextFrame("And?"))
        await asyncio.sleep(2.5 + 0.17 * turn)
        cut_s = time.monotonic()
        told_s = face.position_s
        await task.queue_frame(InterruptionFrame())
        await asyncio.sleep(1.5)
        loud = watcher.loud()
        first_s = loud[loud > begun_s][0]
        quiet_ms = 1e3 * (loud[-1] - cut_s)
        print(f"{cut_s - begun_s:6.2f}{told_s:8.3f}{cut_s - first_s:8.3f}{quiet_ms:8.0f}")
    await task.cancel()
    for one in tasks:
        one.cancel()
    await peer.close()
    runner.cancel()
    session.stop()
    if strip is not None:
        draw(watcher, asked_s, strip)
        draw(watcher, cut_s - 0.6, strip.with_stem(strip.stem + "_cut"), 1.4)


def draw(watcher: Watcher, begin_s: float, path: Path, seconds: float = 4.0) -> None:
    """What came, pictures over their sound."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    chosen = np.linspace(begin_s, begin_s + seconds, 14, endpoint=False)
    times = np.array([at_s for at_s, _ in watcher.pictures])
    figure, axes = pyplot.subplots(2, 14, figsize=(28, 4), height_ratios=(3, 1))
    for axis, at_s in zip(axes[0], chosen, strict=True):
        i = min(int(np.searchsorted(times, at_s)), len(times) - 1)
        axis.imshow(watcher.pictures[i][1])
        axis.set_title(f"{times[i] - begin_s:.2f} s", fontsize=8)
        axis.axis("off")
    grid = axes[1, 0].get_gridspec()
    for axis in axes[1]:
        axis.remove()
    wave = figure.add_subplot(grid[1, :])
    for at_s, values in watcher.sound:
        if begin_s <= at_s < begin_s + seconds:
            wave.plot(at_s - begin_s + np.arange(len(values)) / 48_000, values, "C0", linewidth=0.4)
    wave.set_xlim(0, seconds)
    figure.tight_layout()
    figure.savefig(path, dpi=50)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("--strip", type=Path)
    options = parser.parse_args()
    asyncio.run(run(options.avatar, options.strip))
