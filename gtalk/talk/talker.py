"""The only inference path: audio -> motion -> edits -> frame rate -> images, live and offline alike.

    samples ─▶ MotionStream ─▶ ease (after a barge-in) ─▶ edits ─▶ MotionResampler ─▶ MotionFrame ─▶ Frame
                                                  a motion file enters here ┘

Nothing here depends on how the samples are cut into chunks, and nothing grows with the length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice

import numpy as np

from gtalk.avatar.base import Avatar
from gtalk.basis import MOUTH_GROUP
from gtalk.errors import UserError
from gtalk.geometry.easing import smoothstep
from gtalk.motion.base import EditChain, EditFactory, KnowingStream, MotionModel
from gtalk.shapes import Float, Shaped
from gtalk.speech.known_phones import KnownPhones
from gtalk.talk.base import MotionFrame
from gtalk.talk.interpolate import MotionResampler, first_sample, frame_count, resampled_count
from gtalk.talk.pixels import byte_images
from gtalk.talk.view import View
from gtalk.types import AUDIO_RATE, Frame, Motion

_EASE_S = 0.08  # how long interrupted lips take to close: with a tick and the way to the screen, within 150 ms
_AFTERMATH_S = 0.2  # how long interrupted speech still shows in what the motion model makes of the silence after it
_PIECE_SAMPLES = AUDIO_RATE // 2  # longer chunks are cut, so that an hour in one array costs no memory
_PIECE_FRAMES = 32
_REST_SAMPLES = AUDIO_RATE  # a second of silence settles the lips of any model


class Talker:
    """An avatar and what moves it. Nothing about it changes while it talks: sessions own what does."""

    def __init__(
        self,
        avatar: Avatar,
        motion_model: MotionModel | None,
        *,
        edits: Sequence[EditFactory] = (),
        seed: int = 0,
        fps: float | None = None,
        view: View = View(),
        batch: int = 1,
    ) -> None:
        """
        Args:
            avatar: what draws.
            motion_model: what listens; None when only motion files are rendered.
            edits: what makes the edits of a session, which are applied in this order to every frame of motion,
                before it is brought to `fps`.
            seed: chooses head motion, gaze and blinks.
            fps: frames a second that come out; the avatar's own by default.
            view: how images look where no other view is asked for.
            batch: images drawn at once. More helps on a GPU; it delays nothing that is already decided.
        """
        if batch < 1:
            raise UserError("batch", expected="a whole number from 1", got=str(batch), remedy="Use 1, or 8 on a GPU.")
        self.avatar, self.motion_model = avatar, motion_model
        self.edits, self.seed, self.batch = tuple(edits), seed, batch
        self.fps = float(avatar.fps if fps is None else fps)
        self.view = view

    def session(self) -> TalkSession:
        """A fresh utterance, with edits of its own."""
        return TalkSession(self)

    def stream(self, audio_chunks: Iterable[Shaped[np.ndarray, "..."]]) -> Iterator[Frame]:
        """Frames of mono audio at AUDIO_RATE in chunks of any size: ceil(samples * fps / AUDIO_RATE) in all.

        Each frame comes as soon as it is decided and its batch is full; memory does not grow with the length.
        """
        return self.drawn(self.moments(audio_chunks))

    def render_motion(self, motion: Motion, audio: Shaped[np.ndarray, "..."] | None = None) -> Iterator[Frame]:
        """Frames of a motion: a file, a re-enactment. Edits and frame rate apply as to speech.

        Args:
            motion: T >= 1 frames at any rate; ceil(T / motion.fps * fps) frames come out.
            audio: mono at AUDIO_RATE, starting with the motion; silence where it ends sooner.
        """
        return self.drawn(self.motion_moments(motion, audio))

    def moments(
        self, audio_chunks: Iterable[Shaped[np.ndarray, "..."]], known: KnownPhones | None = None
    ) -> Iterator[MotionFrame]:
        """`stream` before drawing. `known`: see `TalkSession.know`."""
        session = self.session()
        if known is not None:
            session.know(known)
        for chunk in audio_chunks:
            for piece in _pieces(chunk):
                yield from session.advance(piece)
        yield from session.end()

    def motion_moments(self, motion: Motion, audio: Shaped[np.ndarray, "..."] | None = None) -> Iterator[MotionFrame]:
        """`render_motion` before drawing. Raises UserError when there is no frame."""
        if not len(motion):
            raise UserError(
                "motion", expected="at least one frame", got="none", remedy="Check how the motion file was made."
            )
        sound = _checked(np.zeros(0, np.float32) if audio is None else audio)[0]
        count = resampled_count(len(motion), motion.fps, self.fps)
        chain, resampler = EditChain(self.edits), MotionResampler(motion.fps, self.fps)
        done = 0
        for start in range(0, len(motion), _PIECE_FRAMES):
            piece = chain(motion[start : start + _PIECE_FRAMES])
            last = start + _PIECE_FRAMES >= len(motion)
            ready = [resampler.push(piece), resampler.finish(count) if last else None]
            moments = self._moments(_joined(ready), done, sound, 0)
            done += len(moments)
            yield from moments

    def draw(self, moments: Sequence[MotionFrame], view: View | None = None) -> list[Frame]:
        """Images of decided moments, as one batch, in the talker's view or another one."""
        return self._begin(moments, view)() if moments else []

    def _begin(self, moments: Sequence[MotionFrame], view: View | None = None) -> Callable[[], list[Frame]]:
        """`draw` without waiting for a GPU's images: what is returned does."""
        motion = moments[0].motion if len(moments) == 1 else Motion.concatenate([m.motion for m in moments])
        shown = view or self.view
        images = byte_images(self.avatar, motion, shown.camera, shown.size, shown.background)

        def frames() -> list[Frame]:
            rgb, alpha = images.wait()
            return [Frame(m.time_s, rgb[i], alpha[i], m.motion, m.samples) for i, m in enumerate(moments)]

        return frames

    @cached_property
    def rest_mouth(self) -> Float[np.ndarray, "37 3"]:
        """MOUTH_GROUP when nothing is said: how the motion model answers to silence. Metres, head space."""
        stream = self._model().stream(self.seed)
        silence = stream.push(np.zeros(_REST_SAMPLES, np.float32))
        return Motion.concatenate([silence, stream.finish()]).landmarks[-1, MOUTH_GROUP]

    def warm(self) -> None:
        """Have made what the first who cuts in would wait for: the lips at rest."""
        _ = self.rest_mouth

    def drawn(self, moments: Iterator[MotionFrame]) -> Iterator[Frame]:
        """Images of moments as they come, `batch` at a time. A GPU draws the next ones while these are taken."""
        drawing: list[Callable[[], list[Frame]]] = []
        behind = 0 if self.avatar.device.type == "cpu" else 1
        while group := list(islice(moments, self.batch)):
            drawing.append(self._begin(group))
            if len(drawing) > behind:
                yield from drawing.pop(0)()
        for frames in drawing:
            yield from frames()

    def _model(self) -> MotionModel:
        if self.motion_model is None:
            raise UserError("avatar", expected="one with a motion model, since it is to speak", got="none",
                            remedy="Run `gtalk motion train DATASET -o AVATAR`, or give a motion file.")  # fmt: skip
        return self.motion_model

    def _moments(self, motion: Motion | None, first: int, sound: np.ndarray, sound_start: int) -> list[MotionFrame]:
        """Frames `first`... with their samples, out of `sound` whose first sample is number `sound_start`."""
        moments: list[MotionFrame] = []
        if motion is None:
            return moments
        for i in range(len(motion)):
            begin = first_sample(first + i, self.fps) - sound_start
            end = first_sample(first + i + 1, self.fps) - sound_start
            moments.append(MotionFrame((first + i) / self.fps, motion[i], sound[begin:end]))
        return moments


class TalkSession:
    """One running utterance of a talker: push samples, get frames.

    `push` and `finish` draw at once. Who draws elsewhere, or drops late frames, takes the moments of
    `advance` and `end` and gives those worth drawing to `Talker.draw`.
    """

    def __init__(self, talker: Talker) -> None:
        self._talker = talker
        model = talker._model()
        self._stream = model.stream(talker.seed)
        self._resampler = MotionResampler(model.fps, talker.fps)
        self._ease = _MouthEase(talker, model.fps)
        self._sound = np.zeros(0, np.float32)  # pushed, and belonging to frames that are still to come
        self._sound_start = 0
        self._waiting: Motion | None = None  # decided, but part of its sound is still to come
        self._n_samples = 0
        self._n_frames = 0
        self._n_motion = 0
        self.n_bad_samples = 0
        """Samples that were NaN or infinite; they were taken as silence."""
        self._edits = EditChain(talker.edits)

    def post(self, event: object) -> float:
        """Tell the edits something: other controls, a late word of a score.

        Returns the instant, in seconds since the session began, of the first frame that it can still change:
        frames before it are decided already.
        """
        return self._edits.post(event) / self._talker._model().fps

    def know(self, phones: KnownPhones) -> None:
        """What is said, in seconds since the session began, told before its sound is pushed: lips go by it.

        A motion model that goes by the sound alone is not told.
        """
        if isinstance(self._stream, KnowingStream):
            self._stream.know(phones)

    def push(self, samples: Shaped[np.ndarray, "..."]) -> list[Frame]:
        """Take mono samples at AUDIO_RATE, any number; return the frames that are now decided."""
        return self._draw(self.advance(samples))

    def finish(self) -> list[Frame]:
        """No more samples: the remaining frames, ceil(samples * fps / AUDIO_RATE) in all."""
        return self._draw(self.end())

    def interrupt(self) -> None:
        """Someone cuts in: what was pushed but not yet shown is silenced, and the lips ease shut.

        The head, gaze and blinks go on; what is pushed from now on is spoken again.
        """
        self._sound = np.zeros_like(self._sound)
        if isinstance(self._stream, KnowingStream):
            self._stream.forget()
        fps = self._talker._model().fps
        self._ease.close(self._n_motion, frame_count(self._n_samples, fps) + round(_AFTERMATH_S * fps))

    def advance(self, samples: Shaped[np.ndarray, "..."]) -> list[MotionFrame]:
        """`push` without drawing."""
        sound, bad = _checked(samples)
        self.n_bad_samples += bad
        self._sound = np.concatenate([self._sound, sound])
        self._n_samples += len(sound)
        return self._decide(self._resampler.push(self._speak(self._stream.push(sound))))

    def end(self) -> list[MotionFrame]:
        """`finish` without drawing."""
        certain = self._resampler.push(self._speak(self._stream.finish()))
        held = self._resampler.finish(frame_count(self._n_samples, self._talker.fps))
        return self._decide(_joined([certain, held]), last=True)

    def _speak(self, motion: Motion) -> Motion:
        eased = self._ease(motion, self._n_motion)
        self._n_motion += len(motion)
        return self._edits(eased)

    def _decide(self, motion: Motion | None, *, last: bool = False) -> list[MotionFrame]:
        """Moments of motion that is certain. A frame longer than the look-ahead waits for the rest of its sound."""
        motion = _joined([self._waiting, motion])
        if motion is not None and not last:
            whole = 0
            while whole < len(motion) and self._ends(whole) <= self._n_samples:
                whole += 1
            motion, self._waiting = motion[:whole], motion[whole:]
        moments = self._talker._moments(motion, self._n_frames, self._sound, self._sound_start)
        self._n_frames += len(moments)
        spent = first_sample(self._n_frames, self._talker.fps) - self._sound_start
        self._sound, self._sound_start = self._sound[spent:], self._sound_start + min(spent, len(self._sound))
        return moments

    def _ends(self, ahead: int) -> int:
        """The first sample after the frame that is so many after the next."""
        return first_sample(self._n_frames + ahead + 1, self._talker.fps)

    def _draw(self, moments: list[MotionFrame]) -> list[Frame]:
        size = self._talker.batch
        return [f for i in range(0, len(moments), size) for f in self._talker.draw(moments[i : i + size])]


class _MouthEase:
    """Moves the mouth between what is spoken (weight 1) and rest (weight 0), a step a frame, never a jump."""

    def __init__(self, talker: Talker, fps: float) -> None:
        self._talker = talker
        self._steps = max(1, round(_EASE_S * fps))
        self._weight = 1.0
        self._open_from = 0  # frames before this one close

    def close(self, frame: int, speech_from: int) -> None:
        """Close from `frame` on; what sounds from frame `speech_from` on may open the lips again."""
        self._open_from = max(speech_from, frame + self._steps)

    def __call__(self, motion: Motion, first: int) -> Motion:
        if self._weight == 1.0 and first >= self._open_from:
            return motion
        landmarks = motion.landmarks.copy()
        rest = self._talker.rest_mouth
        for i in range(len(motion)):
            step = (1.0 if first + i >= self._open_from else -1.0) / self._steps
            self._weight = float(np.clip(round(self._weight + step, 9), 0.0, 1.0))
            smooth = smoothstep(0.0, 1.0, self._weight)
            landmarks[i, MOUTH_GROUP] = rest + smooth * (landmarks[i, MOUTH_GROUP] - rest)
        return motion.replace(landmarks=landmarks)


def _checked(samples: np.ndarray) -> tuple[np.ndarray, int]:
    """Mono float32 without NaN, and how many samples were not finite."""
    samples = np.asarray(samples)
    if samples.ndim != 1 or samples.dtype.kind != "f":
        raise UserError("samples", expected="mono floating-point samples of shape [N] in [-1, 1]",
                        got=f"{samples.dtype} of shape {list(samples.shape)}",
                        remedy="Mix the channels and scale whole numbers to [-1, 1].")  # fmt: skip
    sound = samples.astype(np.float32, copy=False)
    finite = np.isfinite(sound)
    bad = int(len(sound) - np.count_nonzero(finite))
    return (np.where(finite, sound, np.float32(0)), bad) if bad else (sound, 0)


def _pieces(chunk: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(chunk), _PIECE_SAMPLES):
        yield chunk[start : start + _PIECE_SAMPLES]


def _joined(parts: list[Motion | None]) -> Motion | None:
    filled = [part for part in parts if part is not None and len(part)]
    return Motion.concatenate(filled) if filled else None
