"""One peer of a session: it watches, and speaks where it offers its own sound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

import aiortc.codecs.vpx
import numpy as np
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtp import RtpPacket
from aiortc.utils import uint16_gt

from gtalk.errors import UserError
from gtalk.media.raw import sound_of
from gtalk.viewer.audio.sources import PushSource
from gtalk.viewer.live.session import LiveSession
from gtalk.viewer.webrtc.ice import IceServer
from gtalk.viewer.webrtc.tracks import Feed

_HELD_BACK_S = 0.0035
CONNECT_S = 15.0
"""A peer that is not there by then is gone."""
BITS_A_SECOND = 1_500_000
"""Of the picture: the mark in it survives this, and half of it."""


class Peer:
    """A connection. Made and used in one event loop.

    Args:
        session: what it watches.
        label: whether words in the picture say that it is generated.
        mic: whether it may speak.
        ice: servers that help to find a way.
        on_end: called once, when the connection is over.
        everything: whether the sound of a microphone that drives the face is sent too.
    """

    def __init__(
        self,
        session: LiveSession,
        *,
        label: bool,
        mic: bool,
        ice: Sequence[IceServer] = (),
        on_end: Callable[[], None] = lambda: None,
        everything: bool = False,
    ) -> None:
        aiortc.codecs.vpx.DEFAULT_BITRATE = BITS_A_SECOND
        servers = [RTCIceServer(one.url, one.username, one.credential) for one in ice]
        self._connection = RTCPeerConnection(RTCConfiguration(servers))  # no list would mean a server of Google's
        self._session, self._mic, self._on_end = session, mic, on_end
        self._feed = Feed(session, label=label, everything=everything)
        self._microphone: PushSource | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = False
        self._connection.on("connectionstatechange", self._changed)
        self._connection.on("track", self._heard)

    @property
    def state(self) -> str:
        """Of the connection: new, connecting, connected, failed, closed."""
        return self._connection.connectionState

    async def answer(self, sdp: str) -> str:
        """Take an offer; the answer. Raises UserError for what is no offer."""
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
            kinds = {one.kind for one in self._connection.getTransceivers()}
            if not kinds & {"audio", "video"}:
                raise ValueError("neither a picture nor sound is asked for")
            self._add_tracks(kinds)
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        except Exception as error:  # aiortc's parser raises what its parts happen to
            await self.close()
            raise bad_sdp("offer", error) from error
        self._expect()
        return self._connection.localDescription.sdp

    async def offer(self) -> str:
        """Offer picture and sound to somebody who asked for none (WHIP); `accept` takes the answer."""
        for track in (self._feed.pictures, self._feed.sound):
            self._connection.addTransceiver(track, direction="sendonly")
        await self._connection.setLocalDescription(await self._connection.createOffer())
        return self._connection.localDescription.sdp

    async def accept(self, sdp: str) -> None:
        """Take the answer to an offer. Raises UserError for what is none."""
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        except Exception as error:
            await self.close()
            raise bad_sdp("answer", error) from error
        self._expect()

    async def close(self) -> None:
        """End it."""
        if self._over:
            return
        self._over = True
        self._feed.close()
        self._hush()
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()
        with suppress(Exception):  # half-made connections complain
            await self._connection.close()
        self._on_end()

    def _add_tracks(self, kinds: set[str]) -> None:
        for kind, track in (("video", self._feed.pictures), ("audio", self._feed.sound)):
            if kind in kinds:
                self._connection.addTrack(track)

    def _expect(self) -> None:
        self._do(self._give_up())

    async def _give_up(self) -> None:
        await asyncio.sleep(CONNECT_S)
        if self.state != "connected":
            await self.close()

    async def _changed(self) -> None:
        if self.state in {"failed", "closed"}:
            await self.close()

    def _heard(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio" and self._mic:
            for receiver in self._connection.getReceivers():
                if receiver.track is track:
                    hasten(receiver)
            self._do(self._listen(track))

    async def _listen(self, track: MediaStreamTrack) -> None:
        self._microphone = PushSource("microphone by WebRTC", audible=False, echo_cancelled=True)
        with suppress(MediaStreamError):
            samples, rate = sound_of(await track.recv())
            # What the resampler keeps back: else each tick would wait for one more packet.
            self._microphone.push(np.zeros(round(_HELD_BACK_S * rate), np.float32), rate)
            self._session.hear(self._microphone)
            while True:
                self._microphone.push(samples, rate)
                samples, rate = sound_of(await track.recv())
        self._hush()

    def _hush(self) -> None:
        if self._microphone is not None:
            self._microphone.close()
            if self._session.microphone is self._microphone:
                self._session.hear(None)
            self._microphone = None

    def _do(self, what) -> None:
        task = asyncio.create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class AtOnce:
    """In place of aiortc's jitter buffer, which holds 100 ms of sound back: every packet of Opus is whole, and what
    comes late is left out. The session's own buffer evens out the rest.
    """

    def __init__(self) -> None:
        self._last: int | None = None

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """(whether a key picture is needed, what is to be decoded now)."""
        if self._last is not None and not uint16_gt(packet.sequence_number, self._last):
            return False, None
        self._last = packet.sequence_number
        return False, JitterFrame(packet._data, packet.timestamp)  # type: ignore[attr-defined]


def hasten(receiver: RTCRtpReceiver) -> None:
    """Hand on sound as soon as it is there. An aiortc that keeps its buffer elsewhere goes on as it is."""
    name = "_RTCRtpReceiver__jitter_buffer"
    if hasattr(receiver, name):
        setattr(receiver, name, AtOnce())


def bad_sdp(what: str, error: BaseException) -> UserError:
    """What is said of a description that cannot be used."""
    if isinstance(error, UserError):
        return error
    words = " ".join(str(error).split())[:120] or type(error).__name__
    return UserError(f"SDP {what}", expected="a session description of a WebRTC peer", got=words,
                     remedy="Send what createOffer() gives, as application/sdp.")  # fmt: skip
