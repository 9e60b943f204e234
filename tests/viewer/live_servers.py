"""A live server with a toy avatar, and the sounds that tests play to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from gtalk.hearing.direction import delay_of_azimuth
from gtalk.talk import Talker
from gtalk.types import AUDIO_RATE
from gtalk.viewer.config import ViewConfig
from gtalk.viewer.live.session import LiveSession
from gtalk.viewer.server import LiveServer
from tests.support.toys import ToyAvatar, ToyMotionModel


def toy_cast(size: int = 64, lookahead_s: float = 0.08, kind: type[ToyMotionModel] = ToyMotionModel):
    avatar = ToyAvatar(size)
    model = kind(avatar.basis)
    model.lookahead_s = lookahead_s
    return lambda: Talker(avatar, model)


@contextmanager
def live_server(size: int = 64, **options) -> Iterator[tuple[LiveServer, list[str]]]:
    """A server on a free port, and what it reports."""
    said: list[str] = []
    server = LiveServer(toy_cast(size), ViewConfig(port=0, size=size, **options), said.append)
    server.start()
    try:
        yield server, said
    finally:
        server.stop()


class Clock:
    """Seconds that a test moves on."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def still_session(size: int = 32, lookahead_s: float = 0.08, **options) -> tuple[LiveSession, Clock]:
    """A session that lives only when `run` says so."""
    clock = Clock()
    return LiveSession(toy_cast(size, lookahead_s)(), clock=clock, **options), clock


def run(session: LiveSession, clock: Clock, ticks: int) -> None:
    for _ in range(ticks):
        clock.now_s += 1 / 25
        session.tick()


def voice(seconds: float) -> np.ndarray:
    return (0.3 * np.sin(np.arange(round(seconds * AUDIO_RATE)) * 0.2)).astype(np.float32)


def bursts(seconds: float, period_s: float = 1.0) -> np.ndarray:
    """Voice for the first half of each period, silence for the second."""
    times_s = np.arange(round(seconds * AUDIO_RATE)) / AUDIO_RATE
    return (0.5 * np.sin(2 * np.pi * 200 * times_s) * (times_s % period_s < period_s / 2)).astype(np.float32)


def from_aside(azimuth_deg: float, seconds: float, rate: int = 48_000) -> np.ndarray:
    """Noise that two microphones at a head's sides hear, positive: nearer to channel 2."""
    spectrum = np.fft.rfft(0.1 * np.random.default_rng(0).standard_normal(round(seconds * rate)))
    hz = np.fft.rfftfreq(round(seconds * rate), 1 / rate)
    later = np.exp(-2j * np.pi * hz * delay_of_azimuth(azimuth_deg))
    return np.stack([np.fft.irfft(spectrum * later), np.fft.irfft(spectrum)], 1).astype(np.float32)
