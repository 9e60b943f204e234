"""The two clocks of the live view over hours, faster than real time: nothing drifts, nothing piles up.

    tools/bench/live.py --soak 60 [--plot OUT.png]

Server: a LiveSession ticks on a clock of its own while a microphone that runs too fast or too slow pushes 8 ms
pieces with a jitter, stalls at times and comes back; then pushed speech goes through, which must come out whole
to the sample. Page: its own player (`page/worklets.js`) is fed ticks with a jitter by a server whose clock is off
against the sound card's. Only drawing is left out.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

PAGE = Path(__file__).resolve().parents[2] / "gtalk" / "viewer" / "web" / "page"
MOTION_EVERY = 0.16  # look-ahead of the stand-in model
PLAYER = """(async () => {
  class AudioWorkletProcessor {}
  const text = TEXT;
  const names = ['AudioWorkletProcessor', 'registerProcessor', 'sampleRate', 'currentTime'];
  const make = new Function(...names, text + '; return Pacer;');
  const Pacer = make(AudioWorkletProcessor, () => {}, 48000, 0);
  const pacer = new Pacer(), out = new Float32Array(128), rows = [], block = 128 / 48000;
  let pushed = 0, at = 0, seed = 1, jitter = 0;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  for (let i = 0; at < SECONDS; i++) {
    at = i * block;
    // A tick leaves the server every 40 ms of its own clock and travels up to 15 ms.
    while ((pushed + 1) * 0.04 * (1 + ERROR) + jitter <= at) {
      pacer.push({ time: pushed * 0.04, audible: true, samples: new Float32Array(640) });
      pushed++;
      jitter = 0.015 * random();
    }
    pacer.fill(out, 48000);
    if (i % 37500 === 37499) rows.push([at, pacer.held, at / (1 + ERROR) - pacer.time]);
  }
  return { rows, underruns: pacer.underruns, skips: pacer.skips };
})()"""


class StillModel:
    """A motion model that moves nothing, so that an hour is ticked in seconds."""

    fps = 25.0
    lookahead_s = MOTION_EVERY

    def __init__(self, motion: Any) -> None:
        self.basis, self._motion = None, motion

    def stream(self, _seed: int = 0) -> StillModel:
        """A fresh stream of frames that are all the same."""
        fresh = StillModel(self._motion)
        fresh._samples = fresh._frames = 0
        return fresh

    def push(self, samples: np.ndarray) -> Any:
        """Frames whose look-ahead is complete."""
        self._samples += len(samples)
        ready = max(0, int((self._samples / 16_000 - self.lookahead_s) * self.fps + 1e-9) + 1)
        count, self._frames = max(0, ready - self._frames), max(ready, self._frames)
        return self._motion[np.zeros(count, int)]


class StillAvatar:
    """An avatar that draws nothing."""

    fps, kind = 25.0, "still"

    def __init__(self) -> None:
        from gtalk.types import Camera

        self.camera = Camera(10.0, 1.0, 1.0, 2, 2)

    def render_bytes(self, motion: Any, *_: Any) -> tuple[Any, Any]:
        """See GaussianAvatar."""
        import torch

        return torch.zeros((len(motion), 2, 2, 3), dtype=torch.uint8), torch.zeros(
            (len(motion), 2, 2), dtype=torch.uint8
        )

    def render(self, motion: Any, *_: Any) -> Any:
        """See Avatar."""
        import torch

        from gtalk.types import RenderOutput

        flat = torch.zeros((len(motion), 2, 2))
        return RenderOutput(torch.zeros((len(motion), 2, 2, 3)), flat, flat)


class Clock:
    """Seconds that only the soak moves on."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def still_session() -> tuple[Any, Clock]:
    """A live session without image or motion."""
    from gtalk.talk import Talker
    from gtalk.types import Motion
    from gtalk.viewer.live.session import LiveSession

    zero = np.zeros((1, 2))
    face = np.random.default_rng(0).normal(size=(1, 68, 3))
    motion = Motion(25.0, face, zero + 1, zero, zero.copy(), np.eye(4)[None], np.ones(1, bool))
    clock = Clock()
    talker = Talker(StillAvatar(), StillModel(motion))  # type: ignore[arg-type]
    return LiveSession(talker, clock=clock), clock


def soak_microphone(minutes: float, error: float) -> dict[str, Any]:
    """Capture to image, minute by minute; the microphone is fast by `error`, from half time on as slow."""
    from gtalk.viewer.audio.sources import PushSource
    from gtalk.viewer.live.stats import resident_mb

    session, clock = still_session()
    source = PushSource("microphone", audible=False)
    source.wait = lambda count, timeout_s: 0.0  # type: ignore[method-assign]  # time stands still inside a tick
    session.hear(source)
    listener, rng = session.listen(lambda: None), np.random.default_rng(1)
    piece, begins, arrives = np.zeros(128, np.float32), 0.0, 0.008
    rows, lags, silent = [], [], 0
    while clock.now_s < minutes * 60:
        clock.now_s = max(clock.now_s, session._start_of(session._n_ticks + 1))
        stalled = clock.now_s % 600.0 > 599.0  # a second in ten minutes nothing comes, then all at once
        while not stalled and arrives <= clock.now_s:
            source.push(piece, 16_000, captured_ms=1e3 * begins)
            begins += 0.008 / (1 + (error if clock.now_s < minutes * 30 else -error))
            arrives = begins + 0.008 + 0.004 * rng.random()
        session._follow_microphone()
        session.tick()
        lags += [clock.now_s * 1e3 - frame.heard_ms for frame in listener.frames]
        listener.frames.clear()
        if session._n_ticks % 1500 == 0:
            heard = np.array(lags)
            silent += int(np.isnan(heard).sum())
            rows.append((clock.now_s / 60, *np.nanpercentile(heard, [50, 99]), len(session._taken), resident_mb()))
            lags.clear()
    return {"rows": np.array(rows), "silent_ticks": silent, "skipped_s": source.n_skipped / 16_000}


def soak_speech(minutes: float) -> dict[str, Any]:
    """Pushed speech of that length: whether it comes out whole and every image has the time of its sound."""
    from gtalk.viewer.audio.sources import PushSource

    session, clock = still_session()
    source = PushSource("speech", audible=True, bounded=False, limit_s=5.0)
    session.play(source)
    listener, pushed, checked, drift = session.listen(lambda: None), 0, 0, 0.0
    wrong = 0
    for tick in range(round(minutes * 60 * 25)):
        if tick % 25 == 0:
            source.push(((np.arange(pushed, pushed + 16_000) % 997) / 1000).astype(np.float32))
            pushed += 16_000
        clock.now_s += 0.04
        session.tick()
        for frame in listener.frames:
            first = round(frame.time_s * 16_000)
            wrong += int(
                np.count_nonzero(frame.samples != ((np.arange(first, first + 640) % 997) / 1000).astype(np.float32))
            )
            drift = max(drift, abs(frame.time_s - checked / 25))
            checked += 1
        listener.frames.clear()
    return {"frames": checked, "wrong_samples": wrong, "drift_ms": drift * 1e3, "dropped": session.n_dropped}


def soak_player(minutes: float, error: float) -> dict[str, Any]:
    """How much sound waits in the page's player while the server's clock is off by `error`."""
    from tools.check.browser import Browser

    browser = Browser()
    try:
        text = json.dumps((PAGE / "worklets.js").read_text(encoding="utf-8"))
        script = PLAYER.replace("TEXT", text).replace("SECONDS", str(minutes * 60)).replace("ERROR", str(error))
        answer = browser.run(script)
    finally:
        browser.close()
    return {**answer, "rows": np.array(answer["rows"])}


def soak(minutes: float, plot: Path | None) -> None:
    """All of it, printed."""
    began = time.monotonic()
    microphone = soak_microphone(minutes, 2e-4)
    rows = microphone["rows"]
    print(f"microphone 200 ppm fast, then slow: shown {rows[0, 1]:.0f} ms after its capture in the first minute, "
          f"{rows[-1, 1]:.0f} ms in the last, {rows[:, 2].max():.0f} ms at the 99th percentile of the worst; "
          f"{rows[:, 3].max():.0f} ticks wait at most")  # fmt: skip
    print(f"  {minutes // 10:.0f} stalls of 1 s: {microphone['silent_ticks'] / 25:.1f} s without sound, "
          f"{microphone['skipped_s']:.1f} s skipped; memory {rows[0, 4]:.1f} -> {rows[-1, 4]:.1f} MB")  # fmt: skip
    whole = soak_speech(minutes)
    print(f"speech: {whole['frames']} images, {whole['wrong_samples']} wrong samples, image against sound "
          f"{whole['drift_ms']:.3f} ms, {whole['dropped']} dropped")  # fmt: skip
    players = {error: soak_player(minutes, error) for error in (1e-4, -1e-4)}
    for error, found in players.items():
        held = found["rows"][:, 1] * 1e3
        print(f"player {error * 1e6:+.0f} ppm: {held.min():.0f} to {held.max():.0f} ms wait to be played, "
              f"{found['underruns']} gaps, {found['skips']} skips")  # fmt: skip
    print(f"{minutes:g} minutes each, in {time.monotonic() - began:.0f} s")
    if plot is not None:
        _plot(rows, players, plot)


def _plot(microphone: np.ndarray, players: dict[float, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 3.6), constrained_layout=True)
    axes[0].plot(microphone[:, 0], microphone[:, 1], label="median")
    axes[0].plot(microphone[:, 0], microphone[:, 2], label="99 %")
    for error, found in players.items():
        axes[1].plot(found["rows"][:, 0] / 60, found["rows"][:, 1] * 1e3, lw=0.7, label=f"{error * 1e6:+.0f} ppm")
    axes[0].set(title="capture to image, drawing left out", xlabel="minutes", ylabel="ms", ylim=(0, None))
    axes[1].set(title="sound that waits in the page's player", xlabel="minutes", ylabel="ms", ylim=(0, None))
    for axis in axes:
        axis.legend()
    figure.savefig(path, dpi=110)
