"""What a tick of a live session costs the server, by who draws: processor time and wall time, one thread.

    python tools/bench/tick.py AVATAR SPEECH [--seconds 8] [--emotion happy:0.7]

The session's clock is stepped by hand, so nothing waits and nothing is late; sound, motion, edits, the mark and packing
for each visitor are as in `gtalk view`. Rows: the visitor's browser draws (numbers and Opus), for one and for ten
visitors of the session; the server draws and sends JPEGs. kB/s are of one visitor, sound and all.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from gtalk.compute.threads import compute_on  # noqa: E402
from gtalk.export.web.drawn import Drawn  # noqa: E402
from gtalk.marks.leaving import Leaving  # noqa: E402
from gtalk.media.audio import read_audio  # noqa: E402
from gtalk.motion.edits.controls import Controls  # noqa: E402
from gtalk.types import AUDIO_RATE  # noqa: E402
from gtalk.viewer.audio.sources import PushSource  # noqa: E402
from gtalk.viewer.config import ViewConfig  # noqa: E402
from gtalk.viewer.live.session import LiveSession  # noqa: E402
from gtalk.viewer.server import cast_of  # noqa: E402
from gtalk.viewer.web.packets import Packets  # noqa: E402
from gtalk.viewer.web.protocol import pack_frame, pack_numbers  # noqa: E402
from tools.bench.machine import line  # noqa: E402

TICK_S, SETTLES = 1 / 25, 50


class Clock:
    """Seconds that are moved by hand."""

    now_s = 0.0

    def __call__(self) -> float:
        """Now."""
        return self.now_s


def ticks(avatar: Path, samples: np.ndarray, visitors: int, there: bool, emotion: str = "") -> tuple[np.ndarray, float]:
    """((processor, wall) milliseconds of each tick [T,2], kB/s a visitor)."""
    config = ViewConfig(draw="browser" if there else "server", controls=Controls(emotion=emotion))
    cast, identity = cast_of(avatar, config)
    drawn = Drawn.of(cast().avatar, identity) if there else None
    clock, packets = Clock(), Packets()
    session = LiveSession(
        cast(), controls=config.controls, clock=clock, leaving=Leaving(identity), report=lambda _line: None,
        numbers=None if drawn is None else drawn.numbers,
    )  # fmt: skip
    listeners = [session.listen(lambda: None, False) for _ in range(visitors)]
    for listener in listeners:
        listener.draws = there
    source = PushSource("speech", audible=True, bounded=False)
    source.push(samples)
    session.play(source)
    took, sent = [], 0
    for _ in range(round(len(samples) / AUDIO_RATE / TICK_S)):
        clock.now_s += TICK_S
        begun = time.process_time(), time.perf_counter()
        session.tick()
        for listener in listeners:
            while listener.frames:
                frame = listener.frames.popleft()
                packed = pack_numbers(frame, packet=packets.of(frame)) if frame.numbers and there else pack_frame(frame)
                sent += len(packed)
        took.append((1e3 * (time.process_time() - begun[0]), 1e3 * (time.perf_counter() - begun[1])))
    assert sent > 100 * len(took), "nothing was sent"
    return np.array(took)[SETTLES:], sent / visitors / (len(took) * TICK_S) / 1e3


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--emotion", default="", help="what the face expresses meanwhile")
    given = parser.parse_args()
    compute_on(1)
    print(line())
    samples = read_audio(given.speech).samples[: round(given.seconds * AUDIO_RATE)]
    for name, visitors, there in (("there, one visitor", 1, True), ("there, ten", 10, True), ("here, one", 1, False)):
        took, kb_s = ticks(given.avatar, samples, visitors, there, given.emotion)
        cpu, wall = np.median(took, axis=0)
        p95 = np.percentile(took[:, 1], 95)
        print(f"{name:20s} processor {cpu:5.2f} ms, wall {wall:5.2f} (95 %: {p95:5.2f}), {kb_s:5.1f} kB/s")


if __name__ == "__main__":
    main()
