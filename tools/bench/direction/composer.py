"""What ten thousand events cost."""

from __future__ import annotations

import time

import numpy as np

from gtalk.direct.composer import Composer
from gtalk.direct.score import Event
from gtalk.direct.tracks import every_track, track_of


def composer() -> None:
    """10,000 events of all levels and swings over ten minutes."""
    rng = np.random.default_rng(0)
    names = [name for name in every_track() if track_of(name).kind in ("level", "swing")]
    starts = rng.uniform(0, 600, 10_000)
    events = [Event(names[rng.integers(len(names))], None, float(s), float(s) + 2.0) for s in starts]
    made, frames = Composer(events), 250
    before = time.process_time()
    made(5000, frames, 25.0)
    print(f"{1e3 * (time.process_time() - before) / frames:.3f} ms a frame for {len(events)} events")
