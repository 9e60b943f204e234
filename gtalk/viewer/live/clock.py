"""When ticks begin: so soon that no image waits for half of one, and while a microphone is followed by its clock."""

from __future__ import annotations

import math
from collections import deque

from gtalk.talk import Talks
from gtalk.types import AUDIO_RATE
from gtalk.viewer.audio.sources import PushSource

_PATIENCE_S = 0.012  # how long a tick waits for a microphone's next piece
_SPARE_S = 0.002  # sound that may be left after a tick, or have waited for it, before ticks come earlier
_EARLIER_S = 0.001  # by at most so much each
_STALE_S = 0.06  # sound left over that is skipped instead: the microphone stalled and came back
_LEFT_OVER_TICKS = 25  # that the least left-over sound is taken of


class MicrophoneClock:
    """How much later or earlier the next tick begins, so that a microphone's sound neither piles up nor runs dry."""

    def __init__(self) -> None:
        self._left_over_s: deque[float] = deque(maxlen=_LEFT_OVER_TICKS)
        self._idle_s: deque[float] = deque(maxlen=_LEFT_OVER_TICKS)  # how long a tick's sound waited for it

    def clear(self) -> None:
        """Another microphone, or none."""
        self._left_over_s.clear()
        self._idle_s.clear()

    def shift_s(self, microphone: PushSource, tick_samples: int, tick_s: float) -> float:
        """Waits a moment for the sound of the next tick; how much later ticks are from now on, in seconds.

        Where a microphone comes in long pieces (WebRTC: 20 ms) a tick may begin long after its last one came without
        that another is left over: so both count.
        """
        waited_s = microphone.wait(tick_samples, _PATIENCE_S)
        self._idle_s.append(microphone.waited_s(tick_samples))
        left = microphone.buffered_s - tick_s
        self._left_over_s.append(left)
        least = min(self._left_over_s)
        if least > _STALE_S or left > 2 * _STALE_S:
            microphone.keep(tick_s + _SPARE_S)
            self.clear()
        elif (spare := max(least, min(self._idle_s)) - _SPARE_S) > 0 and len(self._left_over_s) == _LEFT_OVER_TICKS:
            return waited_s - min(_EARLIER_S, spare)
        return waited_s


def sooner_samples(talker: Talks) -> int:
    """How much sooner than images ticks begin."""
    model = talker.motion_model
    if model is None or talker.fps != model.fps:
        return 0  # frames are made between frames: their look-ahead varies
    tick = round(AUDIO_RATE / talker.fps)
    return -math.ceil(model.lookahead_s * AUDIO_RATE - 1e-6) % tick
