"""The avatar worker against an agent that speaks its protocol, with the client library's own tracks and frames.

No server: the room is `tests.agents.rooms`. What the worker sends is heard and seen on its local tracks.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator

import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.viewer.live.session import LiveSession
from tests.viewer.live_servers import toy_cast, voice

rtc = pytest.importorskip("livekit.rtc", reason="needs the extra livekit")

from gtalk.agents.livekit import AvatarWorker, form_of  # noqa: E402
from tests.agents.rooms import AGENT, FakeRoom, Hub  # noqa: E402

FACE, RATE = "face", 24_000


class Agent:
    """One who speaks, and notes what it is told."""

    def __init__(self, hub: Hub) -> None:
        self.room = hub.join("agent", AGENT)
        self.told: list[tuple[str, dict, float]] = []
        self._heard = asyncio.Event()
        for method in ("lk.playback_started", "lk.playback_finished"):
            self.room.local_participant.register_rpc_method(
                method, lambda call, method=method: self._note(method, call)
            )

    def _note(self, method: str, call) -> str:
        assert call.caller_identity == FACE
        self.told.append((method.removeprefix("lk.playback_"), json.loads(call.payload or "{}"), time.monotonic()))
        self._heard.set()
        return "ok"

    async def stream(self, **attributes: str):
        form = {"sample_rate": str(RATE), "num_channels": "1"} | attributes
        return await self.room.local_participant.stream_bytes(
            "AUDIO", topic="lk.audio_stream", destination_identities=[FACE], attributes=form
        )

    async def say(self, seconds: float, odd: bool = False) -> None:
        writer = await self.stream()
        pcm = (voice(seconds * RATE / 16_000) * 32767).astype("<i2").tobytes()
        for begin in range(0, len(pcm), 4801 if odd else 4800):
            await writer.write(pcm[begin : begin + (4801 if odd else 4800)])
        await writer.aclose()

    async def clear(self) -> str:
        return await self.room.local_participant.perform_rpc(
            destination_identity=FACE, method="lk.clear_buffer", payload=""
        )

    async def until(self, count: int) -> list[tuple[str, dict, float]]:
        async with asyncio.timeout(8.0):
            while len(self.told) < count:
                self._heard.clear()
                await self._heard.wait()
        return self.told


class Ears:
    """What leaves on the two tracks."""

    def __init__(self, room: FakeRoom) -> None:
        sound, picture = room.local_participant.tracks.values()
        self.sound: list[tuple[float, float]] = []
        self.pictures: list[tuple[float, np.ndarray]] = []
        self._streams = rtc.AudioStream(sound), rtc.VideoStream(picture, format=rtc.VideoBufferType.RGB24)
        self.tasks = [asyncio.create_task(self._hear()), asyncio.create_task(self._see())]

    async def _hear(self) -> None:
        async for event in self._streams[0]:
            values = np.frombuffer(event.frame.data, np.int16)
            self.sound.append((time.monotonic(), float(np.abs(values).max()) / 32768))

    async def _see(self) -> None:
        async for event in self._streams[1]:
            shape = (event.frame.height, event.frame.width, 3)
            self.pictures.append((time.monotonic(), np.frombuffer(event.frame.data, np.uint8).reshape(shape)))

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        for stream in self._streams:
            await stream.aclose()

    @property
    def loud_s(self) -> float:
        return sum(loud > 0.02 for _, loud in self.sound) * 0.01


@contextlib.asynccontextmanager
async def face(hub: Hub, **options) -> AsyncIterator[tuple[AvatarWorker, Ears, list[str]]]:
    said: list[str] = []
    session = LiveSession(toy_cast(64)())
    session.start()
    room = hub.join(FACE)
    worker = AvatarWorker(session, room, report=said.append, **options)
    await worker.start()
    ears = Ears(room)
    await asyncio.sleep(0.3)
    try:
        yield worker, ears, said
    finally:
        await ears.close()
        await worker.aclose()
        session.stop()
        assert not room.local_participant.tracks and not room.streams and not room.local_participant._rpc_handlers


def test_what_an_agent_streams_is_said_and_told_with_its_length() -> None:
    async def live() -> None:
        hub = Hub()
        agent = Agent(hub)
        async with face(hub) as (worker, ears, said):
            await agent.say(0.8, odd=True)
            await agent.say(0.4)
            told = await agent.until(4)
            await asyncio.sleep(0.2)
            assert [(what, detail.get("interrupted")) for what, detail, _ in told] == [
                ("started", None), ("finished", False), ("started", None), ("finished", False),
            ]  # fmt: skip
            assert [round(told[i][1]["playback_position"], 2) for i in (1, 3)] == pytest.approx([0.8, 0.4], abs=0.02)
            assert 1.0 < ears.loud_s < 1.5 and worker.position_s == 0.0 and not said
            shape = ears.pictures[-1][1].shape
            assert shape == (64, 64, 3)
            assert ears.pictures[-1][1].std() > 10  # a face

    asyncio.run(live())


def test_a_cleared_buffer_is_silence_and_tells_where_it_was_cut() -> None:
    async def live() -> None:
        hub = Hub()
        agent = Agent(hub)
        async with face(hub) as (_, ears, said):
            await agent.say(3.0)
            await agent.say(2.0)  # waits behind it
            await agent.until(1)
            await asyncio.sleep(0.7)
            cut_s = time.monotonic()
            assert await agent.clear() == "ok"
            told = await agent.until(3)
            await asyncio.sleep(0.5)
            heard = [at_s for at_s, loud in ears.sound if loud > 0.02]
            assert [detail["interrupted"] for _, detail, _ in told[1:]] == [True, True] and len(agent.told) == 3
            first, second = (detail["playback_position"] for _, detail, _ in told[1:])
            assert first == pytest.approx(cut_s - heard[0], abs=0.3) and second == 0.0
            assert heard[-1] < cut_s + 0.6 and not said
            await agent.say(0.4)  # and on it goes
            await agent.until(5)
            assert agent.told[-1][1] == {"playback_position": pytest.approx(0.4, abs=0.02), "interrupted": False}

    asyncio.run(live())


def test_strangers_and_strange_streams_are_words_and_the_agent_is_never_left_waiting() -> None:
    async def live() -> None:
        hub = Hub()
        agent = Agent(hub)
        stranger = hub.join("guest").local_participant
        async with face(hub) as (_, ears, said):
            form = {"sample_rate": "16000", "num_channels": "1"}
            writer = await stranger.stream_bytes(
                "X", topic="lk.audio_stream", destination_identities=[FACE], attributes=form
            )
            await writer.write(b"\x00\x40" * 16_000)
            words = {"destination_identity": FACE, "method": "lk.clear_buffer", "payload": ""}
            assert await stranger.perform_rpc(**words) == "reject"
            for attributes in ({"sample_rate": "many"}, {"num_channels": "0"}, {"sample_rate": "7"}):
                await (await agent.stream(**attributes)).aclose()
            await (await agent.stream()).aclose()  # empty
            told = await agent.until(4)
            broken = await agent.stream()
            await broken.write(b"\x00\x40" * 6_000)
            broken._readers[0].pieces.put_nowait(ConnectionError("gone"))
            told = await agent.until(6)
            assert [detail.get("playback_position") for _, detail, _ in told][:-1] == [0.0] * 4 + [None]
            assert told[-1][1]["playback_position"] == pytest.approx(0.25, abs=0.01)
            assert sum("sample_rate" in line for line in said) == 3 and sum("guest" in line for line in said) == 2
            assert "gone" in said[-1]
            await agent.say(5.0)
            await asyncio.sleep(0.5)
            hub.drop("agent")
            await asyncio.sleep(0.3)
            n_loud = ears.loud_s
            await asyncio.sleep(0.3)
            assert ears.loud_s == n_loud

    asyncio.run(live())


def test_another_agent_than_the_named_one_is_not_heard() -> None:
    async def live() -> None:
        hub = Hub()
        agent = Agent(hub)
        async with face(hub, agent="somebody else") as (_, ears, said):
            await agent.say(0.3)
            await asyncio.sleep(0.5)
            assert ears.loud_s == 0.0 and "'agent'" in said[0]

    asyncio.run(live())


def test_a_room_that_is_not_connected_is_refused() -> None:
    async def live() -> None:
        room = Hub().join(FACE)
        room.connected = False
        await AvatarWorker(LiveSession(toy_cast(64)()), room).start()

    with pytest.raises(UserError, match="connect"):
        asyncio.run(live())


@pytest.mark.parametrize("attributes", [{}, {"sample_rate": "48000"}, {"sample_rate": "-1", "num_channels": "1"},
                                        {"sample_rate": "48000", "num_channels": "9" * 5000}])  # fmt: skip
def test_a_form_that_cannot_be_sound_is_refused(attributes: dict[str, str]) -> None:
    assert form_of({"sample_rate": "24000", "num_channels": "2"}) == (24_000, 2)
    with pytest.raises(UserError, match="sample_rate 4000 to 192000"):
        form_of(attributes)


def test_the_agents_side_of_livekit_agents_speaks_to_it() -> None:
    avatar = pytest.importorskip("livekit.agents.voice.avatar", reason="livekit-agents has an environment of its own")

    async def live() -> None:
        hub = Hub()
        room = hub.join("agent", AGENT)
        async with face(hub) as (_, ears, said):
            out = avatar.DataStreamAudioOutput(
                room, destination_identity=FACE, sample_rate=RATE, wait_playback_start=True,
                wait_remote_track=rtc.TrackKind.KIND_VIDEO,
            )  # fmt: skip
            begun: list[float] = []
            out.on("playback_started", lambda event: begun.append(time.monotonic()))
            pcm = (voice(3.0 * RATE / 16_000) * 32767).astype("<i2")
            for _ in range(2):
                await out.capture_frame(rtc.AudioFrame(pcm[: RATE // 2].tobytes(), RATE, 1, RATE // 2))
            out.flush()
            ended = await asyncio.wait_for(out.wait_for_playout(), 5.0)
            assert not ended.interrupted and ended.playback_position == pytest.approx(1.0, abs=0.02) and len(begun) == 1
            await out.capture_frame(rtc.AudioFrame(pcm.tobytes(), RATE, 1, len(pcm)))
            out.flush()
            await asyncio.sleep(1.0)
            out.clear_buffer()
            ended = await asyncio.wait_for(out.wait_for_playout(), 1.0)
            cut_s = time.monotonic()
            assert ended.interrupted and 0.3 < ended.playback_position < 1.6 and len(begun) == 2
            assert ended.playback_position == pytest.approx(cut_s - begun[1], abs=0.3)
            await asyncio.sleep(0.4)
            assert max(at_s for at_s, loud in ears.sound if loud > 0.02) < cut_s + 0.6 and not said

    asyncio.run(live())
