"""Ears beside a live session: what its microphone hears is listened to, and the face shows it.

The live thread and the sockets only take note; a thread of the ears does the rest, and tells what the face is to do.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np

from gtalk.direct.directors.attentive import Attentive
from gtalk.direct.directors.sound import Turning
from gtalk.direct.score import Event
from gtalk.hearing.direction import DirectionFinder
from gtalk.hearing.tracker import SourceTracker
from gtalk.shapes import Float

Obey = Callable[[Sequence[Event]], float]
"""Takes events, and tells the instant of the first frame that can still change."""
_SILENT, _LOUD, _MOST_SAID = 1e-4, 0.02, 8
_WAITING = 500  # pieces: some seconds; what is older is of no use


class Ears:
    """Listens for one face. `close` ends it.

    Args:
        obey: told what the face is to do, from a thread of this; it may be exchanged.
        seed: chooses nods and blinks.
        report, show: get a line for what goes wrong, for who runs this and for who speaks.
    """

    def __init__(
        self,
        obey: Obey,
        seed: int = 0,
        report: Callable[[str], None] = lambda _line: None,
        show: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.obey, self._report, self._show = obey, report, show
        self._attentive, self._turning = Attentive(seed), Turning()
        self._finder: DirectionFinder | None = None
        self._rate = 0
        self._deaf = False
        self._said: set[str] = set()
        self._sound: queue.Queue[tuple[np.ndarray, bool] | tuple[np.ndarray, int, None] | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._run, name="gtalk-ears", daemon=True)
        self._thread.start()

    def hear(self, samples: Float[np.ndarray, " N"], deaf: bool) -> None:
        """The next sound at AUDIO_RATE, and whether it may be the avatar's own."""
        with suppress(queue.Full):
            self._sound.put_nowait((samples, deaf))

    def hear_both(self, samples: Float[np.ndarray, "N 2"], rate: int) -> None:
        """The next sound of a stereo microphone: from where it comes. Channel 2 is the image's right."""
        with suppress(queue.Full):
            self._sound.put_nowait((samples, rate, None))

    def close(self) -> None:
        """End the thread."""
        with suppress(queue.Full):
            self._sound.put(None, timeout=1.0)
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while (heard := self._sound.get()) is not None:
            try:
                now_s = self.obey(())
                events = self._follow(heard[0], heard[1], now_s) if len(heard) == 3 else self._listen(*heard, now_s)
                if events:
                    self.obey(events)
            except Exception as error:  # a nod, not the conversation
                self._once(self._report, f"listening failed: {type(error).__name__}: {error}")

    def _listen(self, samples: np.ndarray, deaf: bool, now_s: float) -> list[Event]:
        self._deaf = deaf
        self._attentive.place = (self._turning.yaw_deg or 0.0, 0.0)
        return self._attentive.push(samples, now_s, deaf)

    def _follow(self, samples: np.ndarray, rate: int, now_s: float) -> list[Event]:
        if self._finder is None or rate != self._rate:
            self._finder, self._tracker, self._rate = DirectionFinder(rate), SourceTracker(), rate
            self._levels, self._heard_s = np.zeros(2), 0.0
        self._heard_s += len(samples) / rate
        self._levels = np.maximum(self._levels, np.abs(samples).max(0, initial=0.0))
        sources = self._tracker.push(self._finder.push(samples))
        sources += self._tracker.silent_until(self._heard_s)
        self._complain()
        alone = self._levels.min() < _SILENT  # what one channel hears is nowhere
        return [] if alone else self._turning.push(sources, now_s, self._deaf)

    def _complain(self) -> None:
        """Says once what is wrong with two channels; nobody turns then."""
        if self._levels.min() < _SILENT < _LOUD < self._levels.max():
            side = "left" if self._levels.argmin() == 0 else "right"
            self._once(self._show, f"The {side} channel of the microphone is silent: no sound has a direction.")
        elif self._tracker.contradicts:
            self._once(self._show, "The louder channel of the microphone is mostly the later one, as where one is "
                       "swapped or delayed: what contradicts itself turns no head.")  # fmt: skip

    def _once(self, tell: Callable[[str], None], words: str) -> None:
        if words not in self._said and len(self._said) < _MOST_SAID:
            self._said.add(words)
            tell(words)
