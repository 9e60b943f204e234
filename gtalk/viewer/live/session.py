"""One live conversation: a thread that turns the sound of now into the image of now, 25 times a second.

    speech or microphone ─▶ TalkSession.advance ─▶ moments ─▶ (late? dropped) ─▶ Talker.draw ─▶ JPEG ─▶ every listener
                                                           └─▶ numbers ─▶ pages that draw themselves

The clock is the sound's: image n shows samples [n, n + 1) * AUDIO_RATE / fps, played or silent. Ticks take as
many, but begin so much sooner that the motion model's look-ahead ends with a tick: no image waits for the
rest of one. A tick that comes late still takes its samples; only its image is dropped. While a microphone
drives the face, ticks follow *its* clock by fractions of a millisecond, so that its sound neither piles up nor
runs dry. Every queue is bounded, and a slow listener loses its own oldest images, nobody else's.
"""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np

from gtalk.direct.score import Event, Score
from gtalk.motion.edits.controls import Controls
from gtalk.shapes import Float, UInt8
from gtalk.speech.known_phones import KnownPhones
from gtalk.talk import Conversation, MotionFrame, TakesTurns, Talks, View
from gtalk.types import AUDIO_RATE, Camera, Frame
from gtalk.viewer.audio.double_talk import DoubleTalkDetector
from gtalk.viewer.audio.sources import AudioSource, PushSource
from gtalk.viewer.live.clock import MicrophoneClock, sooner_samples
from gtalk.viewer.live.frames import Audience, Listener, LiveFrame, Picture, aperture_of
from gtalk.viewer.live.heard import HeardTick, PitchMeter
from gtalk.viewer.live.line import Line
from gtalk.viewer.live.pictures import Made, Numbers, Pictures
from gtalk.viewer.live.stats import Failures, LiveStats, Timings

_LATE_S = 0.06  # an image later than this is not worth drawing: the next is due
_ECHO_S = 0.3  # how long after its own speech the avatar stays deaf: what is in loudspeaker and room dies away
_ASLEEP_S = 2.0  # who is so far behind was suspended: what was missed is over


class LiveSession:
    """Runs a Talker in real time. Thread-safe: panels and sockets call it from theirs.

    Args:
        talker: the avatar, its motion model, its edits.
        controls: what its edits begin with.
        jpeg_quality: 1 to 100.
        leaving, numbers: as of `Pictures`.
        clock: seconds that never go back; tests give their own.
        report: gets one line for what goes wrong.
    """

    def __init__(
        self,
        talker: Talks,
        *,
        controls: Controls = Controls(),
        jpeg_quality: int = 85,
        leaving: Callable[[UInt8[np.ndarray, "H W 3"]], UInt8[np.ndarray, "H W 3"]] = lambda rgb: rgb,
        numbers: Numbers | None = None,
        clock: Callable[[], float] = time.monotonic,
        report: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.talker, self.jpeg_quality, self._clock, self._report = talker, jpeg_quality, clock, report
        self.barge_in = True
        """Whether a voice in the microphone cuts off what the avatar says."""
        self._view, self._controls, self._first_controls = talker.view, controls, controls
        self._talk: Conversation = talker.session()
        self._pictures = Pictures(talker, leaving, numbers)
        self._sooner = sooner_samples(talker)
        self._guard = DoubleTalkDetector(echo_cancelled=False)
        self._speech: AudioSource | None = None
        self.line = Line()
        """What is spoken after that."""
        self._microphone: PushSource | None = None
        self._deaf_until = 0  # tick
        self._mic_clock = MicrophoneClock()
        self._audience = Audience()
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._taken: deque[HeardTick] = deque()  # ticks whose moment is still to come
        self._pitch = PitchMeter()
        self._n_ticks = 0
        self._n_shown = 0
        self._n_cuts = 0
        self._start_s = 0.0
        self._timings = Timings()
        self._failures = Failures()
        self.on_trouble: Callable[[str], None] | None = None
        """Told when the conversation broke and began anew: the pages."""
        self.on_heard: Callable[[Float[np.ndarray, " N"], bool], None] | None = None
        """Gets what the microphone hears, in place of the face, and whether that may be the avatar's own voice."""
        self.on_moment: Callable[[MotionFrame, Frame | None], None] | None = None
        """Sees every tick with its image, None where that was dropped: the recorder."""

    def start(self) -> None:
        """Begin to live."""
        self._thread = threading.Thread(target=self._run, name="gtalk-live", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def play(self, source: AudioSource) -> None:
        """Speak this aloud from now on; what was being said is interrupted, a microphone waits until the end."""
        with self._lock:
            if self._speech is not None:
                self._flush()
            self.line.clear()
            self._speech = source

    def play_after(self, source: AudioSource) -> bool:
        """Speak this once everything that waits has been said; False where too much waits already."""
        with self._lock:
            if self._speech is not None:
                return self.line.add(source)
            self._speech = source
            return True

    def speak_on(
        self, source: PushSource, samples: Float[np.ndarray, " N"], phones: KnownPhones | None = None
    ) -> float | None:
        """Say more with a source that is being spoken, once what waits in it is over; lips go by `phones`.

        Args:
            samples: at AUDIO_RATE.
            phones: in seconds of the samples, where they are known.

        Returns the instant at which it begins, in seconds since the session began; None where the source was cut off.
        """
        with self._lock:
            if self._speech is not source:
                return None
            begin_s = self._first_sample() / AUDIO_RATE + source.buffered_s
            if phones is not None:
                self._talk.know(phones.later(begin_s))
            source.push(samples)
            return begin_s

    def hear(self, microphone: PushSource | None) -> None:
        """Follow this microphone whenever nothing is being spoken; None to follow none."""
        with self._lock:
            if self._microphone is not None and self._speech is None:
                self._talk.interrupt()
            self._microphone = microphone
            self._mic_clock.clear()
            if microphone is not None:
                self._guard = DoubleTalkDetector(echo_cancelled=microphone.echo_cancelled)

    def interrupt(self) -> None:
        """Barge-in: drop what is being said and everything that waits, and ease the mouth shut."""
        with self._lock:
            self._speech = None
            self.line.clear()
            if self._microphone is not None:
                self._microphone.clear()
            self._flush()

    @property
    def source(self) -> AudioSource | None:
        """What drives the face."""
        return self._speech or self._microphone

    @property
    def microphone(self) -> PushSource | None:
        """The microphone that is followed when nothing is spoken."""
        return self._microphone

    @property
    def view(self) -> View:
        """How images look; each draw takes the one that is there when it begins."""
        return self._view

    def set_camera(self, camera: Camera | None) -> None:
        """Look from elsewhere from the next image on; None for the clip's camera."""
        with self._lock:
            self._view = dataclasses.replace(self._view, camera=camera)

    def set_image(self, size: tuple[int, int] | None, background: UInt8[np.ndarray, "H W 3"] | str | None) -> None:
        """Size and background of the images from the next one on; see `View`."""
        with self._lock:
            self._view = dataclasses.replace(self._view, size=size, background=background)

    @property
    def controls(self) -> Controls:
        """What the edits obey."""
        return self._controls

    def set_controls(self, controls: Controls) -> None:
        """Obey these from the next decided frame on."""
        with self._lock:
            self._controls = controls
            self._talk.post(controls)

    def direct(self, what: Event | Score | Sequence[Event]) -> float:
        """Obey more events, or another score, in seconds since the session began: see `ScoreEdit`, `LiveKeys`, `Look`.

        Returns the instant of the first frame that can still change.
        """
        with self._lock:
            self._pictures.direct(what)
            return self._talk.post(what)

    def perform(self, source: AudioSource, score: Score, duration_s: float) -> None:
        """Speak aloud with a score whose times count from the first sample."""
        with self._lock:
            self.direct(score.later(self._first_sample() / AUDIO_RATE, duration_s))
            self.play(source)

    def listen(self, wake: Callable[[], None], labelled: bool = False, encodes: bool = False) -> Listener:
        """A new listener; `wake` is called (from the live thread) when a frame was put in its queue."""
        listener = Listener(wake, labelled, encodes=encodes)
        with self._lock:
            self._audience.enter(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """Forget a listener."""
        with self._lock:
            self._audience.leave(listener)

    @property
    def n_dropped(self) -> int:
        """Images since the start that came too late to be drawn."""
        return self._timings.n_dropped

    def stats(self) -> LiveStats:
        """The last ten seconds."""
        with self._lock:
            stats, source = self._timings.stats(), self.source
            stats.listeners, stats.decided = len(self._audience), len(self._taken)
            stats.buffered_s = float(getattr(source, "buffered_s", 0.0))
            stats.speaking = source.name if source is not None else ""
            model = self.talker.motion_model
            stats.lookahead_ms = model.lookahead_s * 1e3 if model is not None else 0.0
            return stats

    def tick(self) -> None:
        """One frame's worth of sound in, and the images that are due out."""
        with self._lock:
            heard = self._take(self._tick_samples())
            self._taken.append(heard)
            self._n_ticks += 1
            if isinstance(self._talk, TakesTurns):
                self._talk.give_word(getattr(heard.source, "speaker", ""))
            moments, n_cuts = self._talk.advance(heard.samples), self._n_cuts
        for moment in moments:
            late = self._clock() - self._start_of(self._n_ticks) > _LATE_S
            self._show(moment, self._taken.popleft(), n_cuts, late=late)

    def _run(self) -> None:
        with suppress(Exception):  # else the first who cuts in waits for it
            self.talker.warm()
        self._start_s = self._clock()
        while not self._stop.is_set():
            wait = self._start_of(self._n_ticks + 1) - self._clock()
            if wait > 0 and self._stop.wait(wait):
                return
            if wait < -_ASLEEP_S:
                self._start_s -= wait
            try:
                self._follow_microphone()
                self.tick()
            except Exception as error:
                self._begin_anew(error)

    def _begin_anew(self, error: Exception) -> None:
        """A fault in the motion of one moment costs that moment: the conversation goes on from its beginning.

        Where it happens again, with the controls that the session began with.
        """
        n_before = self._failures.again(self._clock())
        words = "The conversation broke and began anew" + (", with its first settings." if n_before else ".")
        self._report(f"session broke: {type(error).__name__}: {error}")
        if n_before >= Failures.MANY:
            self._stop.wait(1.0)
        elif self.on_trouble is not None:
            self.on_trouble(words)
        with self._lock:
            if n_before:
                self._controls = self._first_controls
            self._pictures.begin_anew()
            with suppress(Exception):  # else the next tick fails again, and comes here again
                self._talk = self.talker.session()
                self._talk.post(self._controls)
            self._taken.clear()
            self._mic_clock.clear()
            self._n_ticks = self._n_shown = self._deaf_until = 0
            self._start_s = self._clock()
            self._audience.forget()

    def _start_of(self, tick: int) -> float:
        return self._start_s + tick / self.talker.fps

    def _first_sample(self) -> int:
        """Of the next tick."""
        return max(0, round(self._n_ticks * AUDIO_RATE / self.talker.fps) - self._sooner)

    def _tick_samples(self) -> int:
        return round((self._n_ticks + 1) * AUDIO_RATE / self.talker.fps) - self._sooner - self._first_sample()

    def _follow_microphone(self) -> None:
        """Moves the clock so that a tick begins when the microphone's sound for it is there."""
        if self._microphone is not None and self._speech is None:
            self._start_s += self._mic_clock.shift_s(self._microphone, self._tick_samples(), 1 / self.talker.fps)

    def _take(self, count: int) -> HeardTick:
        source, samples, heard_ms = self._speech, None, math.nan
        if source is not None:
            samples = self._read(source, count)
            if samples is None:
                self._speech = self.line.next()
                self._deaf_until = self._n_ticks + round(_ECHO_S * self.talker.fps)
            elif self._microphone is not None and self._hears_a_voice(self._microphone):
                self.interrupt()
                samples = None
        if samples is None and (source := self._microphone) is not None:
            samples = self._read(source, count)
            if samples is None:
                self._microphone = None
            elif self.on_heard is not None:
                self.on_heard(samples, self._n_ticks < self._deaf_until)
                samples = np.zeros(count, np.float32)
            elif self._n_ticks < self._deaf_until:
                samples = np.zeros(count, np.float32)
            else:
                later_ms = self._sooner * 1e3 / AUDIO_RATE if self._n_ticks else 0.0  # the image's first sample
                heard_ms = source.heard_ms + later_ms if len(samples) else math.nan
        if samples is None:
            source, samples = None, np.zeros(0, np.float32)
        samples = np.pad(samples, (0, count - len(samples)))
        return HeardTick(samples, source, self._pitch.hz(samples), heard_ms, getattr(source, "n_read", 0))

    def _hears_a_voice(self, microphone: PushSource) -> bool:
        """Takes what the microphone heard while the avatar spoke: it must not hear itself."""
        heard = microphone.read(round(microphone.buffered_s * AUDIO_RATE))
        if heard is not None and self.on_heard is not None:
            self.on_heard(heard, True)
        return self.barge_in and heard is not None and self._guard.hear(heard)

    def _read(self, source: AudioSource, count: int) -> np.ndarray | None:
        try:
            return source.read(count)
        except Exception as error:  # a file that breaks off, a device that goes
            self._report(f"{source.name} failed: {error}")
            return None

    def _flush(self) -> None:
        self._n_cuts += 1
        self._talk.interrupt()
        self._audience.forget()

    def _show(self, moment: MotionFrame, heard: HeardTick, n_cuts: int, *, late: bool) -> None:
        made = self._make(moment, late=late)
        self._n_shown += 1
        if self.on_moment is not None:
            self.on_moment(moment, made.frame)
        with self._lock:
            # Cut off while it was drawn: its sound must not come after the word to forget what came before.
            samples = np.zeros_like(moment.samples) if self._n_cuts != n_cuts else moment.samples
            speaker = heard.source or (self._taken[0].source if self._taken else None)  # it may begin within this tick
            audible = bool(speaker and speaker.audible)
            said_s = 0.0
            if isinstance(heard.source, PushSource) and self._n_cuts == n_cuts:
                heard.source.show(heard.n_read + self._sooner)
                said_s = heard.source.shown_s
            self._guard.play(samples if audible else np.zeros_like(samples))
            live = LiveFrame(
                moment.time_s, made.jpeg, made.labelled_jpeg, samples, audible, aperture_of(moment), heard.pitch_hz,
                heard.heard_ms, heard.source, made.numbers,
                Picture(made.frame.rgb, made.frame.alpha) if made.frame is not None else None, said_s,
            )  # fmt: skip
            self._audience.hand(live)

    def _make(self, moment: MotionFrame, *, late: bool) -> Made:
        """What is wanted of a moment; nothing where nobody is there: an open server costs little."""
        wanted = self._audience.wants(recorded=self.on_moment is not None, late=late)
        begin, made = self._clock(), Made()
        if wanted.images or wanted.numbers:
            try:
                made = self._pictures.make(moment, self._view, self.jpeg_quality, wanted)
            except Exception as error:  # a background of another size, say: one image, not the conversation
                self._report(f"an image failed: {type(error).__name__}: {error}")
        now = self._clock()
        if made.frame or made.numbers:
            self._timings.drawn(begin, now, now - self._start_of(self._n_shown) - self._sooner / AUDIO_RATE)
        elif len(self._audience) or self.on_moment is not None:
            self._timings.n_dropped += 1
        return made
