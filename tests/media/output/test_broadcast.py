"""RTMP and SRT to a real listener: what comes out there, and what is said where nobody listens or goes."""

from __future__ import annotations

import shutil
import time

import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.media.output.broadcast import Broadcast, BroadcastError
from gtalk.media.output.srt import has_srt
from tests.media.listeners import Listening, free_port

SRT = pytest.param("srt", marks=pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the program ffmpeg"))
RATE, FPS = 16_000, 25.0


def tick(n: int) -> tuple[np.ndarray, np.ndarray]:
    """A bright picture and a loud tone for the third second, dark and silent else."""
    on = 50 <= n < 75
    rgb = np.full((64, 96, 3), 220 if on else 30, np.uint8)
    rgb[: n % 64] //= 2
    times_s = np.arange(n * 640, (n + 1) * 640) / RATE
    return rgb, (0.5 * on * np.sin(2 * np.pi * 440 * times_s)).astype(np.float32)


def send(out: Broadcast, first: int, last: int, pace_s: float = 0.0) -> None:
    for n in range(first, last):
        rgb, samples = tick(n)
        if n % 10 != 9:  # pictures are dropped now and then
            out.image(rgb, n / FPS)
        out.sound(samples, n / FPS)
        time.sleep(pace_s)


@pytest.mark.parametrize("scheme", ["rtmp", SRT])
def test_a_listener_gets_picture_and_sound_in_step(scheme: str) -> None:
    there = Listening(scheme)
    out = connected(there.url)
    send(out, 0, 100, pace_s=0.01 if scheme == "srt" else 0.0)
    time.sleep(0.5)
    out.close()
    seen = there.seen()
    assert dict(seen["form"]) == {"video": "h264", "audio": "aac"}
    assert seen["last"][:2] == [96, 64] and len(seen["pictures"]) >= 85
    steps = np.diff(seen["pictures"])
    assert steps.min() > 0.03 and steps.max() < 0.09
    loud_s = [at_s for at_s, level in zip(seen["sound"], seen["level"], strict=True) if level > 0.1]
    zero_s = seen["pictures"][0]
    assert loud_s[0] - zero_s == pytest.approx(2.0, abs=0.05) and loud_s[-1] - zero_s == pytest.approx(3.0, abs=0.05)


def connected(url: str, **options) -> Broadcast:
    """The listener may still be opening its port."""
    for _ in range(100):
        out = Broadcast(url, (96, 64), FPS, RATE, **options)
        try:
            out.image(tick(0)[0], 0.0)
            out.sound(tick(0)[1], 0.0)
            out.image(tick(1)[0], 0.04)
            return out
        except BroadcastError:
            out.close()
            time.sleep(0.1)
    raise AssertionError("nobody came")


@pytest.mark.parametrize("scheme", ["rtmp", SRT])
def test_where_nobody_listens_words_say_so(scheme: str) -> None:
    url = f"{scheme}://127.0.0.1:{free_port()}/live/secret-key"
    out = Broadcast(url, (96, 64), FPS, RATE, timeout_s=2.0)
    with pytest.raises(BroadcastError) as told:
        send(out, 0, 2000, pace_s=0.01)
    assert "secret" not in str(told.value) and len(str(told.value)) > 5
    out.close()


def test_a_server_that_goes_is_an_error_not_a_hang() -> None:
    there = Listening("rtmp")
    out = connected(there.url)
    there.kill()
    begin_s = time.monotonic()
    with pytest.raises(BroadcastError):
        send(out, 2, 2000)
    out.close()
    assert time.monotonic() - begin_s < 30


def test_a_server_that_stalls_is_an_error_not_a_hang() -> None:
    there = Listening("rtmp")
    out = connected(there.url, timeout_s=1.0)
    there.stall()
    rng = np.random.default_rng(0)
    with pytest.raises(BroadcastError):
        for n in range(2, 20_000):
            out.image(rng.integers(0, 255, (64, 96, 3), np.uint8), n / FPS)
            out.sound(tick(n)[1], n / FPS)
    out.close()
    there.kill()


def test_srt_without_a_program_that_speaks_it_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    if not has_srt():
        with pytest.raises(UserError, match="apt install ffmpeg"):
            Broadcast("srt://127.0.0.1:9", (96, 64), FPS, RATE)
