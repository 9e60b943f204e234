"""The other peer: watches, notes what came and when, and speaks a file as its microphone.

python -m tools.bench.rtc.receiver WHEP_URL OUT.npz SECONDS [--speak SPEECH.wav] [--small]
"""

from __future__ import annotations

import argparse
import asyncio
import fractions
import time
import urllib.request
from pathlib import Path

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from gtalk.media.audio import read_audio
from tools.bench.rtc.code import number_of

RATE, PACKET = 48_000, 960
_KEEP = 24  # pictures at the end


class Speech(MediaStreamTrack):
    """A file, over and over, as a microphone would give it."""

    kind = "audio"

    def __init__(self, samples: np.ndarray) -> None:
        super().__init__()
        self._samples, self._sent, self.begin_s = samples, 0, 0.0

    async def recv(self) -> av.AudioFrame:
        self.begin_s = self.begin_s or time.monotonic()
        self._sent += PACKET
        await asyncio.sleep(max(0.0, self.begin_s + self._sent / RATE - time.monotonic()))
        piece = np.take(self._samples, range(self._sent - PACKET, self._sent), mode="wrap")
        frame = av.AudioFrame.from_ndarray((piece * 32767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._sent - PACKET, fractions.Fraction(1, RATE)
        return frame


class Log:
    """What came."""

    def __init__(self, small: bool) -> None:
        self.small: list[np.ndarray] | None = [] if small else None
        self.packets: list[tuple[float, int]] = []  # of sound: when, RTP
        self.pictures: list[tuple[float, float, int, float]] = []  # when, pts of 90 kHz, number, when its packets came
        self.came: dict[int, float] = {}  # of pictures: RTP since the first, when the last packet came
        self.sound: list[tuple[float, int]] = []  # when, pts
        self.samples: list[np.ndarray] = []
        self.reports: dict[str, list[tuple[int, int]]] = {"video": [], "audio": []}  # NTP, RTP
        self.first: dict[str, int] = {}
        self.last: list[np.ndarray] = []

    async def watch(self, track: MediaStreamTrack) -> None:
        while True:
            frame = await track.recv()
            rgb = frame.to_ndarray(format="rgb24")
            number = number_of(rgb)
            now_s = time.monotonic()
            came_s = self.came.get(frame.pts, now_s)
            self.pictures.append((now_s, frame.pts, -1 if number is None else number, came_s))
            self.last = [*self.last[-_KEEP:], rgb]
            if self.small is not None:
                self.small.append(rgb[::3, ::3])

    async def hear(self, track: MediaStreamTrack) -> None:
        while True:
            frame = await track.recv()
            self.sound.append((time.monotonic(), frame.pts))
            self.samples.append(frame.to_ndarray().reshape(-1, 2).astype(np.float32).mean(1) / 32768)

    def tap(self, receiver) -> None:
        """Notes what the receiver's own packets say of time."""
        packets, control, kind = receiver._handle_rtp_packet, receiver._handle_rtcp_packet, receiver.track.kind

        async def packet(one, arrival_time_ms: int) -> None:
            self.first.setdefault(kind, one.timestamp)
            if kind == "video":
                self.came[(one.timestamp - self.first[kind]) & 0xFFFFFFFF] = time.monotonic()
            else:
                self.packets.append((time.monotonic(), one.timestamp))
            await packets(one, arrival_time_ms=arrival_time_ms)

        async def report(one) -> None:
            if hasattr(one, "sender_info"):
                self.reports[kind].append((one.sender_info.ntp_timestamp, one.sender_info.rtp_timestamp))
            await control(one)

        receiver._handle_rtp_packet, receiver._handle_rtcp_packet = packet, report


async def main(url: str, out: Path, seconds: float, speech: Path | None, small: bool) -> None:
    connection, log, tasks = RTCPeerConnection(RTCConfiguration([])), Log(small), []
    microphone = None
    if speech is not None:
        microphone = Speech(read_audio(speech, RATE).samples)
        connection.addTrack(microphone)
    else:
        connection.addTransceiver("audio", direction="recvonly")
    connection.addTransceiver("video", direction="recvonly")

    @connection.on("track")
    def begin(track: MediaStreamTrack) -> None:
        log.tap(next(one for one in connection.getReceivers() if one.track is track))
        tasks.append(asyncio.create_task(log.watch(track) if track.kind == "video" else log.hear(track)))

    asked_s = time.monotonic()
    await connection.setLocalDescription(await connection.createOffer())
    body = connection.localDescription.sdp.encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/sdp"}, method="POST")
    reply = await asyncio.to_thread(urllib.request.urlopen, request)
    await connection.setRemoteDescription(RTCSessionDescription(reply.read().decode(), "answer"))
    await asyncio.sleep(seconds)
    ending = urllib.request.Request(url.removesuffix("whep") + reply.headers["Location"], method="DELETE")
    await asyncio.to_thread(urllib.request.urlopen, ending)
    for task in tasks:
        task.cancel()
    await connection.close()
    np.savez(
        out, pictures=np.array(log.pictures), sound=np.array(log.sound), samples=np.concatenate(log.samples),
        video_reports=np.array(log.reports["video"], np.uint64),
        audio_reports=np.array(log.reports["audio"], np.uint64),
        first=np.array([log.first["video"], log.first["audio"]]), last=np.stack(log.last), asked_s=asked_s,
        microphone_s=0.0 if microphone is None else microphone.begin_s, packets=np.array(log.packets),
        small=np.stack(log.small) if log.small else np.zeros(0, np.uint8),
    )  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("out", type=Path)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--speak", type=Path)
    parser.add_argument("--small", action="store_true", help="keep every picture, small")
    given = parser.parse_args()
    asyncio.run(main(given.url, given.out, given.seconds, given.speak, given.small))
