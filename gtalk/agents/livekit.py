"""A face in a LiveKit room: an avatar worker for LiveKit's agents.

    agent ── byte stream lk.audio_stream ─▶ AvatarWorker ─▶ Mouthpiece ─▶ LiveSession
      ◀── RPC lk.playback_started, lk.playback_finished ──┘                  │
      ─── RPC lk.clear_buffer ─▶ cut                  picture and sound tracks ─▶ everybody in the room

One byte stream is one utterance, 16-bit samples in the form that its attributes sample_rate and num_channels tell; its
end is the utterance's. After an utterance, or a cut, the agent is told how much of it was played. The agent's side is
`DataStreamAudioOutput` of livekit-agents. Needs the package livekit.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from typing import Any

import numpy as np

from gtalk.agents.mouthpiece import Mouthpiece, Tick
from gtalk.errors import UserError
from gtalk.shapes import UInt8
from gtalk.types import AUDIO_RATE
from gtalk.viewer.audio.sources import RATES_HZ
from gtalk.viewer.live.session import LiveSession

try:
    from livekit import rtc
except ImportError as error:
    raise UserError("gtalk.agents.livekit", expected="the package livekit", got=str(error),
                    remedy="Install it: pip install 'gtalk[livekit]'.") from error  # fmt: skip

AUDIO_STREAM, CLEAR_BUFFER = "lk.audio_stream", "lk.clear_buffer"
PLAYBACK_STARTED, PLAYBACK_FINISHED = "lk.playback_started", "lk.playback_finished"
BITS_A_SECOND = 1_500_000
"""Of the picture: the mark in it survives this."""
MOST_CHANNELS = 8
_QUEUE_MS = 200  # of sound that waits to be sent
_ENOUGH_QUEUED_S = 0.06  # silence beyond this is left out: else what once was late is late for ever
_TRIES, _BETWEEN_TRIES_S = 3, 0.1
_TRAILER_S = 0.5  # a stream whose successor is there and that says nothing for so long lost its end
_IDLE_S = 10.0  # and so did one without successor


class AvatarWorker:
    """The face of one agent in one room. For one event loop.

    Args:
        session: a live face that nothing else speaks through; started and stopped by the caller.
        room: connected; the caller leaves it.
        agent: identity of the participant that speaks through it; else the first agent that does.
        label: whether words in the picture say that it is generated: no page around it does.
        report: gets one line for what goes wrong.
    """

    def __init__(
        self,
        session: LiveSession,
        room: rtc.Room,
        *,
        agent: str | None = None,
        label: bool = True,
        report: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self._session, self._room, self._label, self._report = session, room, label, report
        self._fixed, self._agent = agent is not None, agent
        self._mouth: Mouthpiece | None = None
        self._outlet: Outlet | None = None
        self._streams: deque[rtc.ByteStreamReader] = deque()
        self._arrived = asyncio.Event()
        self._n_cuts = 0
        self._n_pending = 0  # utterances whose end the agent waits for
        self._begun = False  # whether anything was heard of the first of them
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Publish picture and sound and wait for speech. Raises UserError for a room that is not connected."""
        if not self._room.isconnected():
            raise UserError("room", expected="a connected LiveKit room", got="one that is not",
                            remedy="Call `await room.connect(url, token)` before.")  # fmt: skip
        self._mouth = Mouthpiece(self._session, label=self._label)
        self._outlet = Outlet(self._session.view.size or (512, 512), self._session.talker.fps)
        me = self._room.local_participant
        me.register_rpc_method(CLEAR_BUFFER, self._clear)
        self._room.register_byte_stream_handler(AUDIO_STREAM, self._stream)
        self._room.on("participant_disconnected", self._left)
        await self._outlet.publish(me)
        self._do(self._show(self._mouth, self._outlet))
        self._do(self._follow(self._mouth))

    async def aclose(self) -> None:
        """Be quiet and take the tracks back; the room stays connected."""
        if self._mouth is None or self._outlet is None:
            return
        mouth, self._mouth = self._mouth, None
        mouth.cut()
        mouth.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._room.off("participant_disconnected", self._left)
        self._room.unregister_byte_stream_handler(AUDIO_STREAM)
        me = self._room.local_participant
        me.unregister_rpc_method(CLEAR_BUFFER)
        await self._outlet.close(me if self._room.isconnected() else None)

    @property
    def position_s(self) -> float:
        """How much of the utterance that is said left this machine, in seconds."""
        if self._mouth is None or self._outlet is None:
            return 0.0
        return max(0.0, self._mouth.position_s - self._outlet.queued_s)

    def _stream(self, reader: rtc.ByteStreamReader, sender: str) -> None:
        if not self._is_agent(sender):
            self._report(f"a stream of {sender!r} is not the agent's: ignored")
            _close(reader)
            return
        self._streams.append(reader)
        self._n_pending += 1
        self._arrived.set()

    def _is_agent(self, identity: str) -> bool:
        if self._agent is None:
            who = self._room.remote_participants.get(identity)
            if who is not None and who.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT:
                self._agent = identity
        return self._agent == identity

    def _left(self, who: rtc.RemoteParticipant) -> None:
        """Without its agent the face falls silent; where no name was given, another may take its place."""
        if who.identity == self._agent:
            self._silence()
            if not self._fixed:
                self._agent = None

    def _clear(self, call: rtc.RpcInvocationData) -> str:
        if not self._is_agent(call.caller_identity):
            self._report(f"{call.caller_identity!r} is not the agent: its {CLEAR_BUFFER} is ignored")
            return "reject"
        for position_s in self._silence():
            self._tell_end(position_s, True)
        return "ok"

    def _silence(self) -> list[float]:
        """Cut; how much of each utterance was played that is not yet over."""
        if self._mouth is None or self._outlet is None:
            return []
        positions_s = [self.position_s if self._begun and i == 0 else 0.0 for i in range(self._n_pending)]
        self._n_cuts += 1
        self._begun, self._n_pending = False, 0
        for reader in self._streams:
            _close(reader)
        self._streams.clear()
        self._mouth.cut()
        self._outlet.cut()
        return positions_s

    async def _follow(self, mouth: Mouthpiece) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._streams:
                reader = self._streams.popleft()
                n_cuts, said = self._n_cuts, False
                try:
                    async for pcm, rate, channels in self._sound_of(reader):
                        if self._n_cuts != n_cuts:
                            break
                        mouth.say(pcm, rate, channels)
                        said = True
                except Exception as error:  # what came of it is said
                    self._report(f"a stream of the agent's broke off: {error}")
                _close(reader)
                if self._n_cuts != n_cuts:
                    continue
                mouth.end()
                if not said:
                    self._finished(0.0)

    async def _sound_of(self, reader: rtc.ByteStreamReader) -> AsyncIterator[tuple[bytes, int, int]]:
        """(whole samples, rate, channels) of a stream as they come. Raises UserError for a strange form."""
        rate, channels = form_of(reader.info.attributes or {})
        left, whole = b"", 2 * channels
        while (piece := await self._next(reader)) is not None:
            left += piece
            size = len(left) // whole * whole
            if size:
                yield left[:size], rate, channels
            left = left[size:]

    async def _next(self, reader: rtc.ByteStreamReader) -> bytes | None:
        """The next piece; None at the end, or where the end will not come."""
        waited_s, piece = 0.0, asyncio.ensure_future(anext(reader))
        try:
            while waited_s < (_TRAILER_S if self._streams else _IDLE_S):
                done, _ = await asyncio.wait({piece}, timeout=0.1)
                if done:
                    return piece.result()
                waited_s += 0.1
        except StopAsyncIteration:
            return None
        finally:
            piece.cancel()
        self._report("the agent's stream did not end: taken as over")
        return None

    async def _show(self, mouth: Mouthpiece, outlet: Outlet) -> None:
        async for tick in mouth.ticks():
            if tick.position_s and not self._begun:
                self._begun = True
                self._do(self._tell(PLAYBACK_STARTED, "", outlet.queued_s))
            n_cuts = self._n_cuts
            await outlet.show(tick)
            if tick.ended and self._n_cuts == n_cuts:
                self._begun = False
                self._finished(tick.position_s, outlet.queued_s)

    def _finished(self, position_s: float, after_s: float = 0.0) -> None:
        """An utterance was played to its end, `after_s` from now."""
        self._n_pending -= 1
        self._tell_end(position_s, False, after_s)

    def _tell_end(self, position_s: float, interrupted: bool, after_s: float = 0.0) -> None:
        words = json.dumps({"playback_position": round(position_s, 4), "interrupted": interrupted})
        self._do(self._tell(PLAYBACK_FINISHED, words, after_s))

    async def _tell(self, method: str, payload: str, after_s: float) -> None:
        await asyncio.sleep(after_s)
        me, agent = self._room.local_participant, self._agent
        for attempt in range(_TRIES):
            if agent is None:
                return
            try:
                await me.perform_rpc(destination_identity=agent, method=method, payload=payload)
                return
            except Exception as error:
                code = getattr(error, "code", None)
                if code == rtc.RpcError.ErrorCode.UNSUPPORTED_METHOD and method == PLAYBACK_STARTED:
                    return  # an agent that does not ask for it
                if attempt == _TRIES - 1:
                    self._report(f"{method} did not reach {agent!r}: {error}")
            await asyncio.sleep(_BETWEEN_TRIES_S)

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Outlet:
    """A picture track and a sound track of a room.

    A picture waits as long as the sound it was drawn for waits to be sent, so that both leave together.
    """

    def __init__(self, size: tuple[int, int], fps: float) -> None:
        self._fps = fps
        self._sound = rtc.AudioSource(AUDIO_RATE, 1, queue_size_ms=_QUEUE_MS)
        self._pictures = rtc.VideoSource(*size)
        self.tracks = (
            rtc.LocalAudioTrack.create_audio_track("avatar_audio", self._sound),
            rtc.LocalVideoTrack.create_video_track("avatar_video", self._pictures),
        )
        self._sids: list[str] = []
        self._open = True

    async def publish(self, me: rtc.LocalParticipant) -> None:
        """Show both to the room."""
        sound = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        picture = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA, simulcast=False,
            video_encoding=rtc.VideoEncoding(max_bitrate=BITS_A_SECOND, max_framerate=self._fps),
        )  # fmt: skip
        for track, options in zip(self.tracks, (sound, picture), strict=True):
            self._sids.append((await me.publish_track(track, options)).sid)

    @property
    def queued_s(self) -> float:
        """Of sound that waits to be sent."""
        return self._sound.queued_duration

    async def show(self, tick: Tick) -> None:
        """Send a picture and its sound."""
        wait_s = self.queued_s
        if tick.rgb is not None:
            asyncio.get_running_loop().call_later(wait_s, self._picture, tick.rgb)
        if wait_s > _ENOUGH_QUEUED_S and not tick.samples.any():
            return
        pcm = (np.clip(tick.samples, -1, 1) * 32767).astype("<i2")
        await self._sound.capture_frame(rtc.AudioFrame(pcm.tobytes(), AUDIO_RATE, 1, len(pcm)))

    def cut(self) -> None:
        """Forget the sound that waits."""
        self._sound.clear_queue()

    async def close(self, me: rtc.LocalParticipant | None) -> None:
        """Take the tracks back, from the room too where there is one."""
        self._open = False
        if me is not None:
            for sid in self._sids:
                with suppress(Exception):  # a room that is just lost
                    await me.unpublish_track(sid)
        await self._sound.aclose()
        await self._pictures.aclose()

    def _picture(self, rgb: UInt8[np.ndarray, "H W 3"]) -> None:
        if self._open:
            height, width = rgb.shape[:2]
            self._pictures.capture_frame(rtc.VideoFrame(width, height, rtc.VideoBufferType.RGB24, rgb.tobytes()))


def form_of(attributes: dict[str, str]) -> tuple[int, int]:
    """(sample rate, channels) that a stream's attributes tell. Raises UserError for what cannot be sound."""
    words = [attributes.get(name, "") for name in ("sample_rate", "num_channels")]
    (low, high), most = RATES_HZ, MOST_CHANNELS
    rate, channels = (int(word) if word.isascii() and word.isdecimal() and len(word) < 9 else 0 for word in words)
    if not (low <= rate <= high and 1 <= channels <= most):
        raise UserError(f"{AUDIO_STREAM} of the agent",
                        expected=f"sample_rate {low} to {high}, num_channels 1 to {most}", got=repr(words)[:60],
                        remedy="Send it as livekit-agents' DataStreamAudioOutput does.")  # fmt: skip
    return rate, channels


def _close(reader: rtc.ByteStreamReader) -> None:
    """Readers of older clients have no end of their own."""
    getattr(reader, "close", lambda: None)()
