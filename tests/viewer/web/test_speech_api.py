"""Programs that push speech over a WebSocket, and what they are told."""

import asyncio
import json
import subprocess
import sys

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from gtalk.media.audio import write_wav
from gtalk.types import AUDIO_RATE, AudioTrack
from gtalk.viewer.web import speech_api
from tests.support.strange_media import write_sound
from tests.viewer.live_servers import live_server, voice


def pcm(samples: np.ndarray) -> bytes:
    return (samples * 32767).astype("<i2").tobytes()


def conversation(talk, **options):
    """Runs `talk(client, server)` against a live server."""
    with live_server(32, **options) as (server, said):

        async def run():
            async with connect(server.url.replace("http", "ws") + "push", close_timeout=0.2) as client:
                return await asyncio.wait_for(talk(client, server), 20)

        return asyncio.run(run()), said


async def told_until(client, state: str) -> list[dict]:
    told = []
    while not told or told[-1]["state"] != state:
        told.append(json.loads(await client.recv()))
    return told


def test_a_wav_is_read_by_its_header_and_mp3_is_refused_in_words(tmp_path) -> None:
    tone = 0.25 * np.sin(2 * np.pi * 300 * np.arange(22_050) / 22_050)
    channels = np.stack([tone, tone], 1)
    wav = write_sound(tmp_path / "a.wav", channels, 22_050, "pcm_s16le").read_bytes()
    mp3 = write_sound(tmp_path / "a.mp3", channels, 22_050, "libmp3lame").read_bytes()

    async def talk(client, server):
        heard = []
        listener = server.main.session.listen(lambda: listener.frames and heard.append(listener.frames.popleft()))
        for start in range(0, len(wav), 5000):
            await client.send(wav[start : start + 5000])
        await client.send(json.dumps({"do": "end"}))
        await told_until(client, "ended")
        await asyncio.sleep(0.3)
        await client.send(json.dumps({"do": "begin"}))
        with pytest.raises(ConnectionClosed) as closed:
            await client.send(mp3[:8000])
            await client.recv()
            await told_until(client, "never")
        return heard, str(closed.value)

    (heard, closed), _ = conversation(talk)
    sound = np.concatenate([frame.samples for frame in heard])
    loud = np.flatnonzero(np.abs(sound) > 0.02)
    assert abs((loud[-1] - loud[0]) / AUDIO_RATE - 1.0) < 0.06
    assert "MP3" in closed


def test_a_stream_of_unknown_length_is_spoken_as_it_comes_and_to_its_end() -> None:
    async def talk(client, server):
        heard = []
        listener = server.main.session.listen(lambda: heard.append(listener.frames.popleft()))
        await client.send(json.dumps({"do": "begin", "rate": 24_000}))
        for _ in range(10):
            await client.send(pcm(np.full(2400, 0.25, np.float32)))
            await asyncio.sleep(0.05)
        await client.send(json.dumps({"do": "end"}))
        told = await told_until(client, "ended")
        await asyncio.sleep(0.3)
        return heard, told

    (heard, told), _ = conversation(talk)
    assert told[0]["state"] == "speaking"
    positions = [one["position_s"] for one in told]
    assert positions == sorted(positions) and positions[-1] == pytest.approx(1.0, abs=0.04), "shown to its end"
    sound = np.concatenate([frame.samples for frame in heard])
    assert np.count_nonzero(np.abs(sound - 0.25) < 0.01) == pytest.approx(AUDIO_RATE, rel=0.05), "one second, whole"
    assert all(frame.audible for frame in heard if np.abs(frame.samples).max() > 0)


def test_an_interruption_is_told_and_the_rest_is_ignored() -> None:
    async def talk(client, server):
        session = server.main.session
        await client.send(pcm(voice(5.0)[:100_000]))
        await told_until(client, "speaking")
        session.interrupt()
        await told_until(client, "interrupted")
        await client.send(pcm(voice(1.0)))
        await asyncio.sleep(0.1)
        ignored = session.source is None
        await client.send(json.dumps({"do": "begin"}))
        await client.send(pcm(voice(1.0)))
        await told_until(client, "speaking")
        return ignored

    assert conversation(talk)[0]


def test_who_sends_faster_than_it_is_spoken_is_slowed_and_memory_stays_bounded(monkeypatch) -> None:
    monkeypatch.setattr(speech_api, "LIMIT_S", 1.0)

    async def talk(client, server):
        most = 0.0

        async def flood():
            while True:
                await client.send(pcm(voice(2.0)))

        task = asyncio.create_task(flood())
        for _ in range(20):
            await asyncio.sleep(0.05)
            most = max(most, server.main.session.stats().buffered_s)
        task.cancel()
        client.transport.abort()  # a closing handshake would wait until its second was spoken
        return most

    most, _ = conversation(talk)
    assert 1.0 <= most <= 3.1, "the limit and the one piece that crossed it"


@pytest.mark.parametrize("by", ["file", "stdin"])
def test_the_small_client_pushes_files_and_pipes(by: str, tmp_path) -> None:
    write_wav(tmp_path / "speech.wav", AudioTrack(voice(0.6)))
    with live_server(32) as (server, _):
        url = server.url.replace("http", "ws") + "push"
        command = [sys.executable, "examples/push_speech.py", "--url", url]
        command += [str(tmp_path / "speech.wav")] if by == "file" else ["-"]
        done = subprocess.run(command, input=pcm(voice(0.6)), capture_output=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    told = done.stderr.decode().splitlines()
    assert told[0].startswith("speaking")
    assert told[-1] == "ended, 0.00 s wait"


def test_a_client_that_vanishes_is_cut_off_and_the_session_goes_on() -> None:
    with live_server(32) as (server, _):

        async def run():
            client = await connect(server.url.replace("http", "ws") + "push")
            await client.send(pcm(voice(3.0)))
            await told_until(client, "speaking")
            client.transport.abort()
            await asyncio.sleep(0.3)

        asyncio.run(run())
        assert server.main.session.source is None
        server.main.session.listen(lambda: None)
        before = server.main.session.stats().drawn
        asyncio.run(asyncio.sleep(0.3))
        assert server.main.session.stats().drawn > before


@pytest.mark.parametrize(
    ("message", "why"),
    [(b"ID3" + bytes(5000), "got MP3"), ("{}", "not a command"), ('{"do": "begin", "rate": 1}', "sample rate 1"),
     ('{"do": "begin", "rate": "fast"}', "without a number"), ('{"do": "dance"}', "unknown command"),
     (b"\0" * 1_000_000, "1009"), (['{"do": "begin"}'] * 60, "too many commands")],
)  # fmt: skip
def test_garbage_closes_that_client_with_a_reason(message, why: str) -> None:
    async def talk(client, _server):
        with pytest.raises(ConnectionClosed) as closed:
            for each in message if isinstance(message, list) else [message]:
                await client.send(each)
            while True:
                await client.recv()
        return str(closed.value)

    reason, said = conversation(talk)
    assert why in reason or any(why in line for line in said)
