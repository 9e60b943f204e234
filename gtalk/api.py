"""gtalk from Python: `import gtalk` offers all of this by name. See docs/api.md and examples/.

for event in gtalk.train("me.mp4", out="me", consent=gtalk.Consent("Ann", "I am Ann and agree.")):
    print(event)
me = gtalk.load("me", device="auto")
motion = gtalk.edits.Gaze(yaw_rad=0.2)(me.predict("speech.wav", seed=1))
gtalk.write_video("out.mp4", me.render(motion, size=512), fps=me.fps, audio="speech.wav")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from typing import overload

import numpy as np
import torch

from gtalk.avatar.base import PLATE, Consent
from gtalk.dub.background import TRANSPARENT, Background, Still, make_background
from gtalk.dub.outputs import image_size
from gtalk.errors import UserError
from gtalk.making.events import events_of
from gtalk.making.train import Preset, Renderer, TrainEvent, make_avatar
from gtalk.marks.leaving import Leaving
from gtalk.marks.provenance import provenance_tags
from gtalk.media.audio import stream_audio
from gtalk.media.output.writer import VideoWriter
from gtalk.media.soundtrack import Soundtrack
from gtalk.motion.base import EditFactory
from gtalk.motion.edits.controls import Controls
from gtalk.progress import OnProgress, silent
from gtalk.shapes import Shaped, UInt8
from gtalk.talk import Character, Talker, TalkSession, View, load_character, resample_motion
from gtalk.talk.load import LookAhead
from gtalk.talk.orbit import head_pivot, orbit_camera
from gtalk.types import AUDIO_RATE, Camera, Frame, Motion, RenderOutput

StrPath = str | PathLike[str]
Size = int | tuple[int, int]
"""Height in pixels, the width following the camera's aspect ratio, or (width, height)."""
Speech = StrPath | Shaped[np.ndarray, "..."]
"""A sound or video file, or mono samples in [-1, 1] at 16 kHz."""
_BATCH = 8  # images in memory at once where they are drawn as tensors


class Avatar:
    """A person who can be drawn and, with a motion model, can speak. Made by `load`.

    One avatar may be used by several threads: nothing about it changes.
    """

    def __init__(self, character: Character) -> None:
        self.character = character

    @property
    def fps(self) -> float:
        """Frames a second of what it says."""
        return self.character.avatar.fps

    @property
    def camera(self) -> Camera:
        """The camera of its clip, at the size that it was fitted at."""
        return self.character.avatar.camera

    @property
    def device(self) -> torch.device:
        """Where it draws."""
        return self.character.avatar.device

    @property
    def person(self) -> str:
        """Whose likeness it is."""
        return self.character.identity.person

    def to(self, device: str) -> Avatar:
        """The same avatar on another device: auto, cpu or cuda. Raises UserError where there is none."""
        return Avatar(self.character.to(device))

    def predict(
        self,
        speech: Speech,
        *,
        seed: int = 0,
        controls: Controls = Controls(),
        edits: Sequence[EditFactory] = (),
        lookahead: LookAhead = "file",
    ) -> Motion:
        """How the face moves with speech, at the avatar's rate: one frame for each 1 / fps seconds of it.

        Args:
            speech: a sound or video file, or mono samples at 16 kHz.
            seed: chooses head motion, gaze and blinks.
            controls: how the face moves; see `Controls`.
            edits: makers of edits that come before the controls: `edits=[lambda: gtalk.edits.Gaze(0.2)]`.
            lookahead: "live" for the motion that a live session would show.

        Raises UserError when the avatar has not learned to speak, or there is no sound.
        """
        talker = self._talker(controls, edits, lookahead, seed)
        parts = [moment.motion for moment in talker.moments(_chunks(speech))]
        if not parts:
            raise UserError("speech", expected="at least one sample", got="none", remedy="Use a sound with speech.")
        return Motion.concatenate(parts)

    def edit(self, motion: Motion, controls: Controls, seed: int = 0) -> Motion:
        """A motion as these controls change it, the same as live. Raises UserError without a motion model."""
        talker = self.character.talker(controls=controls, seed=seed, fps=motion.fps)
        return Motion.concatenate([moment.motion for moment in talker.motion_moments(motion)])

    def reenact(self, motion: Motion) -> Motion:
        """Another person's motion (see `track`), brought to this face. Raises UserError without a motion model."""
        from gtalk.motion.model.model import PersonMotionModel
        from gtalk.motion.produce import reenact

        model = self.character.motion_model
        if not isinstance(model, PersonMotionModel):
            raise UserError("avatar", expected="one that has learned to speak, which knows its own face", got="none",
                            remedy="Run `gtalk motion train DATASET -o AVATAR`.")  # fmt: skip
        return resample_motion(reenact(motion, model), self.fps)

    @overload
    def render(
        self, motion: Motion, *, size: Size | None = None, camera: Camera | None = None, background: None
    ) -> RenderOutput: ...

    @overload
    def render(
        self,
        motion: Motion,
        *,
        size: Size | None = None,
        camera: Camera | None = None,
        background: UInt8[np.ndarray, "H W 3"] | str = PLATE,
    ) -> Iterator[UInt8[np.ndarray, "H W 3"]]: ...

    def render(
        self,
        motion: Motion,
        *,
        size: Size | None = None,
        camera: Camera | None = None,
        background: UInt8[np.ndarray, "H W 3"] | str | None = PLATE,
    ) -> Iterator[UInt8[np.ndarray, "H W 3"]] | RenderOutput:
        """Images of a motion's frames, one for each.

        Args:
            motion: T frames.
            size: height, or (width, height), in pixels; the avatar's by default.
            camera: the view; the clip's by default. `orbit` makes others.
            background: "plate" (the room of the clip), a colour by name or as #rrggbb, an image or video file, or an
                image of the output's size. None: no background, and everything at once as tensors.

        Returns an iterator of images, drawn as they are asked for. With `background=None` instead (rgb, alpha, depth)
        on the avatar's device: rgb [T,H,W,3] in 0..1, premultiplied by alpha [T,H,W]; depth [T,H,W] in metres.
        Raises UserError for a size of another aspect ratio or a background that cannot be read.
        """
        shape = self._shape(size, camera)
        if background is None:
            parts = [
                self.character.avatar.render(motion[i : i + _BATCH], camera, shape, None)
                for i in range(0, len(motion), _BATCH)
            ]
            return RenderOutput(*(torch.cat(list(values)) for values in zip(*parts, strict=True)))
        behind = _background(background, shape, motion.fps)
        view = View(camera, shape, behind.rendered)
        talker = Talker(self.character.avatar, None, fps=motion.fps, view=view)
        return (behind.finish(frame.rgb, frame.alpha) for frame in talker.render_motion(motion))

    def stream(
        self,
        chunks: Iterable[Shaped[np.ndarray, "..."]],
        *,
        seed: int = 0,
        size: Size | None = None,
        camera: Camera | None = None,
        background: UInt8[np.ndarray, "H W 3"] | str = PLATE,
        controls: Controls = Controls(),
        edits: Sequence[EditFactory] = (),
        lookahead: LookAhead = "live",
    ) -> Iterator[Frame]:
        """Frames of speech as it comes, each as soon as it is decided, with the sound that belongs to it.

        Args:
            chunks: mono samples at 16 kHz in [-1, 1], in pieces of any size; how they are cut changes nothing.
            seed, controls, edits, lookahead: as of `predict`.
            size, camera, background: as of `render`.

        Raises UserError when the avatar has not learned to speak, and as `render` does.
        """
        shape = self._shape(size, camera)
        behind = _background(background, shape, self.fps)
        talker = self._talker(controls, edits, lookahead, seed, View(camera, shape, behind.rendered))
        for frame in talker.stream(chunks):
            shown = behind.finish(frame.rgb, frame.alpha)
            yield Frame(frame.time_s, shown, frame.alpha, frame.motion, frame.samples)

    def session(
        self,
        *,
        seed: int = 0,
        size: Size | None = None,
        camera: Camera | None = None,
        background: UInt8[np.ndarray, "H W 3"] | str = PLATE,
        controls: Controls = Controls(),
        edits: Sequence[EditFactory] = (),
        lookahead: LookAhead = "live",
    ) -> TalkSession:
        """A conversation under way: push samples, get frames; post other controls; interrupt. Arguments as of `stream`.

        Several sessions of one avatar know nothing of each other. Raises UserError as `stream` does, and for a
        background that moves.
        """
        shape = self._shape(size, camera)
        behind = _background(background, shape, self.fps)
        if not isinstance(behind, Still):
            raise UserError("background", expected="one that stands still", got="a video",
                            remedy="Use `stream`, or an image.")  # fmt: skip
        return self._talker(controls, edits, lookahead, seed, View(camera, shape, behind.rendered)).session()

    def orbit(self, yaw_rad: float = 0.0, pitch_rad: float = 0.0, distance: float = 1.0) -> Camera:
        """A camera turned about the head: yaw towards its right, pitch upwards, `distance` times as far away.

        All three are kept within what an avatar can show: 30 and 20 degrees, 0.6 to 2.
        """
        pivot = head_pivot(self.camera, self.character.motion_model)
        return orbit_camera(self.camera, pivot, yaw_rad, pitch_rad, distance)

    def _talker(
        self,
        controls: Controls,
        edits: Sequence[EditFactory],
        lookahead: LookAhead,
        seed: int,
        view: View = View(),
    ) -> Talker:
        return self.character.talker(controls=controls, edits=edits, lookahead=lookahead, seed=seed, view=view)

    def _shape(self, size: Size | None, camera: Camera | None) -> tuple[int, int]:
        if isinstance(size, tuple):
            return size
        return image_size(camera or self.camera, size)


def load(folder: StrPath, device: str = "auto") -> Avatar:
    """Open an avatar's folder. Raises UserError when it is missing, damaged or of another version.

    Args:
        folder: what `train` or `gtalk train` made.
        device: auto (a GPU where there is one), cpu or cuda.
    """
    return Avatar(load_character(Path(folder)).to(device))


def train(
    clips: StrPath | Sequence[StrPath],
    out: StrPath,
    *,
    consent: Consent,
    renderer: Renderer = "auto",
    preset: Preset = "auto",
    device: str = "auto",
    dataset: StrPath | None = None,
) -> Iterator[TrainEvent]:
    """Make an avatar from clips of one person: prepare, fit, learn how the face moves with speech. Yields events.

    The work goes on while events are taken, and stops when nobody takes them; what is done is kept, and the same call
    goes on from there. Events are `Progress` (how far a stage is), `Note` (a line of text) and those of the fit
    (`StepEvent`, `PreviewEvent`, `DoneEvent`, ...: see gtalk.fit.events).

    Args:
        clips: one or more video files of one person in one setting, a few minutes in all, with speech.
        out: folder of the avatar.
        consent: whose likeness it is, and why it may be used, in a sentence. Kept in the avatar.
        renderer: gaussian, radiance, or auto.
        preset: cpu, gpu, quality, or auto: what suits the machine.
        device: auto, cpu or cuda.
        dataset: folder of the dataset; `out`/dataset by default.

    Raises UserError when a clip cannot be used, the consent is empty, or the output cannot be written.
    """
    several = [clips] if isinstance(clips, (str, PathLike)) else list(clips)

    def work(on_event: Callable[[TrainEvent], None]) -> None:
        make_avatar(
            [Path(clip) for clip in several], Path(out), consent, renderer=renderer, preset=preset, device=device,
            dataset=None if dataset is None else Path(dataset), on_event=on_event,
        )  # fmt: skip

    return events_of(work)


def track(video: StrPath, on_progress: OnProgress = silent) -> Motion:
    """The motion of the face in a video, to drive an avatar with: `me.reenact(gtalk.track("other.mp4"))`.

    Raises UserError when the video cannot be read or shows no face.
    """
    from gtalk.prepare.pipeline import track_motion

    return track_motion(Path(video), on_progress)


def write_video(
    path: StrPath,
    frames: Iterable[UInt8[np.ndarray, "H W 3"] | Frame],
    *,
    fps: float,
    audio: StrPath | None = None,
    avatar: Avatar | None = None,
) -> None:
    """Write images and sound to a video file, or with a name without an ending to a folder of PNG images.

    It appears under its name when it is whole, and says in its metadata that it was made with gtalk.

    Args:
        path: .mp4, .mov, .webm, .mkv or a folder.
        frames: images of one size, from `Avatar.render` or anywhere, or `Frame`s of `Avatar.stream`, whose sound is
            written where no `audio` is given.
        fps: images a second.
        audio: a sound file, at its own rate.
        avatar: whose likeness is seen: its id and consent go into the metadata, its invisible mark into the pictures.

    Raises UserError when there is no frame, or a file is not what it should be.
    """
    images = iter(frames)
    first = next(images, None)
    if first is None:
        raise UserError("frames", expected="at least one image", got="none", remedy="Check the motion or the sound.")
    sound = None if audio is None else Soundtrack.of(Path(audio))
    own = sound is None and isinstance(first, Frame)
    rate, channels = (sound.rate, sound.channels) if sound is not None else (AUDIO_RATE if own else None, 1)
    identity = None if avatar is None else avatar.character.identity
    tags, leaving = ({}, None) if identity is None else (provenance_tags(identity), Leaving(identity))
    height, width = _image(first).shape[:2]
    with ExitStack() as stack:
        writer = stack.enter_context(VideoWriter(Path(path), (width, height), fps, rate, None, tags, channels))
        pieces = iter(()) if sound is None else sound.pieces()
        for frame in _with_first(first, images):
            writer.write(_image(frame) if leaving is None else leaving(_image(frame)))
            if own and isinstance(frame, Frame):
                writer.write_audio(frame.samples)
            while sound is not None and writer.n_samples < writer.n_frames / fps * sound.rate:
                piece = next(pieces, None)
                if piece is None:
                    break
                writer.write_audio(piece)


def _chunks(speech: Speech) -> Iterable[np.ndarray]:
    if isinstance(speech, np.ndarray):
        return [speech]
    return stream_audio(Path(speech), AUDIO_RATE)


def _background(choice: np.ndarray | str, size: tuple[int, int], fps: float) -> Background:
    if isinstance(choice, np.ndarray):
        return Still(choice)
    if choice == TRANSPARENT:
        raise UserError("background", expected="something to see", got=choice,
                        remedy="`Avatar.render` with background=None gives colour, alpha and depth.")  # fmt: skip
    return make_background(choice, size, fps)


def _image(frame: np.ndarray | Frame) -> np.ndarray:
    return frame.rgb if isinstance(frame, Frame) else frame


def _with_first(first: np.ndarray | Frame, rest: Iterator[np.ndarray | Frame]) -> Iterator[np.ndarray | Frame]:
    yield first
    yield from rest
