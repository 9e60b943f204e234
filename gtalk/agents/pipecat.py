"""A face in a Pipecat pipeline: behind the voice, before the transport.

    face = GtalkVideo(session)
    transport.input() ─▶ .. ─▶ llm ─▶ tts ─▶ face ─▶ transport.output() ─▶ face.played

Takes TTSAudioRawFrame and gives sound and pictures in step; an InterruptionFrame shuts the mouth at once. `played` sees
what the transport sent: by it the position is what left, not what waits, and the transport's queue stays short. Needs
the package pipecat-ai, and a transport with `video_out_is_live=True`: pictures come as often as they are to be shown.
"""

from __future__ import annotations

import asyncio

import numpy as np

from gtalk.agents.mouthpiece import Mouthpiece, Tick
from gtalk.agents.playback import Playback
from gtalk.errors import UserError
from gtalk.types import AUDIO_RATE
from gtalk.viewer.live.session import LiveSession

try:
    from pipecat.frames.frames import (
        CancelFrame,
        EndFrame,
        Frame,
        InterruptionFrame,
        OutputAudioRawFrame,
        OutputImageRawFrame,
        SpeechOutputAudioRawFrame,
        StartFrame,
        TTSAudioRawFrame,
        TTSStoppedFrame,
    )
    from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
except ImportError as error:
    raise UserError("gtalk.agents.pipecat", expected="the package pipecat-ai", got=str(error),
                    remedy="Install it: pip install 'pipecat-ai[webrtc]'.") from error  # fmt: skip


_ENOUGH_WAITING_S = 0.06
"""Silence is left out while more waits in the transport: else what once was late is late for ever."""


class GtalkVideo(FrameProcessor):
    """Says through a live session what the voice before it makes.

    Args:
        session: a `LiveSession` with nobody else speaking through it; started and stopped by the caller.
        label: whether words in the picture say that it is generated: no page around it does.
        packing_s: how long the transport takes from its queue to the wire; what the small WebRTC one was measured at.
    """

    def __init__(self, session: LiveSession, *, label: bool = True, packing_s: float = 0.045) -> None:
        super().__init__(name="gtalk")
        self._session, self._label = session, label
        self._playback = Playback(packing_s)
        self.played = Played(self._playback)
        """To stand behind the transport's output."""
        self._mouth: Mouthpiece | None = None
        self._showing: asyncio.Task[None] | None = None
        self._n_cuts = 0
        self._stops: list[TTSStoppedFrame] = []  # handed on when the last picture of their utterance was

    @property
    def position_s(self) -> float:
        """How much of the utterance left, in seconds; without `played` in the pipeline, how much was handed on."""
        return self._playback.position_s

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """See Pipecat."""
        await super().process_frame(frame, direction)
        match frame:
            case StartFrame():
                await self.push_frame(frame, direction)
                self._mouth = Mouthpiece(self._session, label=self._label)
                self._showing = self.create_task(self._show(self._mouth))
                return
            case TTSAudioRawFrame() if self._mouth is not None:
                self._mouth.say(frame.audio, frame.sample_rate, frame.num_channels)
                return
            case TTSStoppedFrame() if self._mouth is not None and self._mouth.speaking:
                self._mouth.end()
                self._stops.append(frame)
                return
            case InterruptionFrame() if self._mouth is not None:
                self._mouth.cut()
                self._playback.forget()
                self._n_cuts += 1
                self._stops.clear()
            case EndFrame() | CancelFrame():
                await self._stop()
        await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """See Pipecat."""
        await super().cleanup()
        await self._stop()

    async def _stop(self) -> None:
        if self._mouth is not None:
            self._mouth.cut()
            self._mouth.close()
            self._mouth = None
        if self._showing is not None:
            await self.cancel_task(self._showing)
            self._showing = None

    async def _show(self, mouth: Mouthpiece) -> None:
        async for tick in mouth.ticks():
            await self._push(tick)
            if tick.ended and self._stops:
                await self.push_frame(self._stops.pop(0))

    async def _push(self, tick: Tick) -> None:
        n_cuts = self._n_cuts
        if tick.rgb is not None:
            height, width = tick.rgb.shape[:2]
            image = OutputImageRawFrame(image=tick.rgb.tobytes(), size=(width, height), format="RGB")
            await self.push_frame(image)
        if self._n_cuts != n_cuts:  # cut off meanwhile: its sound must not come behind the interruption
            return
        if self._playback.waiting_s > _ENOUGH_WAITING_S and not tick.samples.any():
            return
        self._playback.give(len(tick.samples) / AUDIO_RATE, tick.position_s, tick.speaking)
        pcm = (np.clip(tick.samples, -1, 1) * 32767).astype("<i2").tobytes()
        kind = TTSAudioRawFrame if tick.speaking else SpeechOutputAudioRawFrame
        await self.push_frame(kind(audio=pcm, sample_rate=AUDIO_RATE, num_channels=1))


class Played(FrameProcessor):
    """Sees what the transport sent."""

    def __init__(self, playback: Playback) -> None:
        super().__init__(name="gtalk played")
        self._playback = playback

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """See Pipecat."""
        await super().process_frame(frame, direction)
        if isinstance(frame, OutputAudioRawFrame):
            self._playback.play(len(frame.audio) / (2 * frame.num_channels * frame.sample_rate))
        await self.push_frame(frame, direction)
