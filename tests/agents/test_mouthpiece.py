"""What agents' frameworks get: sound and pictures in step, the position of playback, silence when cut."""

import asyncio

import numpy as np
import pytest

from gtalk.agents.mouthpiece import Mouthpiece, Tick
from gtalk.errors import UserError
from gtalk.types import AUDIO_RATE
from tests.viewer.live_servers import run, still_session, voice


def pcm(seconds: float) -> bytes:
    return (voice(seconds) * 32767).astype("<i2").tobytes()


async def some(mouth: Mouthpiece, count: int) -> list[Tick]:
    ticks = mouth.ticks()
    return [await asyncio.wait_for(anext(ticks), 5.0) for _ in range(count)]


def test_an_utterance_comes_whole_with_its_pictures_and_its_position() -> None:
    async def live() -> list[Tick]:
        session, clock = still_session()
        mouth = Mouthpiece(session)
        mouth.say(pcm(0.16), AUDIO_RATE)
        mouth.end()
        run(session, clock, 10)
        ticks = await some(mouth, 8)
        mouth.close()
        return ticks

    ticks = asyncio.run(live())
    spoken = [tick for tick in ticks if tick.speaking]
    assert [tick.ended for tick in spoken][-1] and not any(tick.ended for tick in spoken[:-1])
    assert spoken[-1].position_s == pytest.approx(0.16, abs=1e-6)
    assert all(tick.rgb is not None and tick.rgb.shape == (32, 32, 3) for tick in spoken)
    heard = np.concatenate([tick.samples for tick in ticks])
    assert np.abs(heard).max() > 0.2 and np.count_nonzero(heard) > 0.15 * AUDIO_RATE


def test_a_cut_is_silence_from_the_next_tick_on_and_tells_how_far_it_came() -> None:
    async def live() -> tuple[float, list[Tick], list[Tick]]:
        session, clock = still_session()
        mouth = Mouthpiece(session)
        mouth.say(pcm(2.0), AUDIO_RATE)
        run(session, clock, 10)
        before = await some(mouth, 8)
        told_s = mouth.cut()
        run(session, clock, 6)
        after = await some(mouth, 5)
        assert not mouth.speaking and mouth.position_s == 0.0 and session.source is None
        return told_s, before, after

    told_s, before, after = asyncio.run(live())
    heard_s = sum(np.abs(tick.samples).max() > 0.01 for tick in before) / 25
    assert told_s == pytest.approx(heard_s, abs=0.04)
    assert all(not tick.samples.any() and not tick.speaking for tick in after)


def test_a_strange_rate_is_refused() -> None:
    async def live() -> None:
        Mouthpiece(still_session()[0]).say(pcm(0.1), 7)

    with pytest.raises(UserError, match="sample rate"):
        asyncio.run(live())
