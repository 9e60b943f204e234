"""`gtalk motion train | pretrain | track | drive | edit`: how a face moves, learned, measured, predicted, changed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from gtalk.cli.bars import Bars
from gtalk.cli.options import AvatarFolder, Datasets, OutputPath
from gtalk.compute.device import Device
from gtalk.errors import UserError
from gtalk.files import exclusive, require_replaceable
from gtalk.motion.edits.controls import Controls

if TYPE_CHECKING:
    from gtalk.motion.base import EditFactory
    from gtalk.motion.model.model import PersonMotionModel


@dataclass(frozen=True)
class MotionTrain:
    """Learn from datasets of one person how the face moves with speech, into an avatar's folder.

    gtalk motion train me.dataset -o me
    """

    datasets: Datasets
    """Folders made by `gtalk prepare`."""
    output: OutputPath
    """Folder of the avatar."""
    init: Path | None = None
    """A file of `gtalk motion pretrain` to start from: less of the person's own speech is needed then."""
    latency: Literal["usual", "low"] = "usual"
    """How soon lips follow a live voice: usual hears 0.15 s ahead, low 0.09 s and is less exact
    (docs/measured/lips.md)."""
    device: Device = "auto"
    """Where to train. auto: on a GPU where there is one."""

    def run(self) -> None:
        """Do it."""
        from gtalk.motion.training.train import MotionConfig, train_motion

        with exclusive(self.output), Bars() as bars:
            train_motion(
                list(self.datasets), self.output, MotionConfig(latency=self.latency), on_progress=bars,
                init=self.init, device=self.device,
            )  # fmt: skip
            bars.say(f"motion model: {self.output}")


@dataclass(frozen=True)
class MotionPretrain:
    """Learn from datasets of many people what their mouths have in common, as a start for others.

    gtalk motion pretrain ada.dataset bob.dataset -o base.safetensors

    gtalk motion train me.dataset -o me --init base.safetensors
    """

    datasets: Datasets
    """Folders made by `gtalk prepare`, one for each person."""
    output: OutputPath
    """The .safetensors file to write."""
    seed: int = 0
    """Of everything random."""
    overwrite: bool = False
    """Replace an output that exists."""

    def run(self) -> None:
        """Do it."""
        from gtalk.dataset.format import Dataset
        from gtalk.motion.training.pretrain import pretrain, save_base
        from gtalk.motion.training.sequences import read_training_clip
        from gtalk.motion.training.train import MotionConfig
        from gtalk.motion.training.training_data import gather

        require_replaceable(self.output, self.overwrite)
        config = MotionConfig(seed=self.seed)
        with Bars() as bars:
            people = [
                gather([read_training_clip(Dataset(path))], config.features, config.augment, config.seed, bars)
                for path in self.datasets
            ]
            save_base(pretrain(people, config.net, config.loss, config.fit, config.seed, bars), self.output)
            bars.say(f"base model: {self.output}")


@dataclass(frozen=True)
class MotionTrack:
    """Track the face in a video into a motion file, to drive an avatar by re-enactment.

    gtalk motion track video.mp4 -o face.motion.npz && gtalk dub me face.motion.npz -o out.mp4
    """

    video: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="VIDEO")]
    """A video of one face."""
    output: OutputPath
    """The .motion.npz to write."""
    overwrite: bool = False
    """Replace an output that exists."""

    def run(self) -> None:
        """Do it."""
        from gtalk.prepare.pipeline import track_motion

        require_replaceable(self.output, self.overwrite)
        with Bars() as bars:
            track_motion(self.video, bars).save(self.output)
            bars.say(f"{self.output}")


@dataclass(frozen=True)
class MotionDrive:
    """Predict an avatar's motion from speech into a motion file, to look at or edit before rendering.

    gtalk motion drive me speech.wav -o speech.motion.npz
    """

    avatar: AvatarFolder
    """Folder of the avatar."""
    audio: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="AUDIO")]
    """Any sound file with speech."""
    output: OutputPath
    """The .motion.npz to write."""
    text: str | None = None
    """What is said, in English, where it is known: phones are aligned to the sound and guide the lips."""
    seed: int = 0
    """Chooses head motion, gaze and blinks."""
    overwrite: bool = False
    """Replace an output that exists."""

    def run(self) -> None:
        """Do it."""
        from gtalk.media.audio import read_audio, stream_audio
        from gtalk.motion.model.model import load_motion_model
        from gtalk.motion.produce import drive
        from gtalk.types import Motion as FaceMotion

        require_replaceable(self.output, self.overwrite)
        model, known = load_motion_model(self.avatar), None
        if self.text is not None:
            from gtalk.speech.align import align_text

            model.needs_ears("--text")
            known = align_text(read_audio(self.audio).samples, self.text)
        parts = drive(model, stream_audio(self.audio), self.seed, known=known)
        FaceMotion.concatenate(list(parts)).save(self.output)
        print(self.output)


@dataclass(frozen=True)
class MotionEdit:
    """Change a motion, or turn it into ARKit's 52 blendshapes (CSV of Live Link Face) and back.

    gtalk motion edit speech.motion.npz -o livelier.motion.npz --avatar me --mouth 1.1 --pose 1.5

    gtalk motion edit speech.motion.npz -o speech.csv

    gtalk motion edit phone.csv -o phone.motion.npz --avatar me
    """

    motion: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MOTION")]
    """A .motion.npz, or a .csv of Live Link Face."""
    output: OutputPath
    """The .motion.npz or .csv to write."""
    avatar: Path | None = None
    """Folder of the avatar whose face it is for: needed for all but writing a CSV."""
    reenact: bool = False
    """The motion is another person's: bring it to the avatar's face."""
    controls: Controls = field(default_factory=Controls)
    """What changes."""
    score: Path | None = None
    """A .score.yaml: what the face does when (docs/guides/direction.md)."""
    seed: int = 0
    """Chooses which blinks are dropped."""
    overwrite: bool = False
    """Replace an output that exists."""

    def run(self) -> None:
        """Do it."""
        from gtalk.motion.edits.emotion import no_voice
        from gtalk.motion.formats.arkit import motion_of_arkit, read_arkit_csv, rest_landmarks, write_arkit_csv
        from gtalk.motion.model.model import load_motion_model
        from gtalk.motion.produce import edit_motion, reenact
        from gtalk.types import Motion as FaceMotion

        require_replaceable(self.output, self.overwrite)
        no_voice(self.controls.emotion, "a motion file")
        model = None if self.avatar is None else load_motion_model(self.avatar)
        if self.motion.suffix.lower() == ".csv":
            weights, head_rad, fps = read_arkit_csv(self.motion)
            motion = motion_of_arkit(weights, head_rad, fps, _required(model))
        else:
            motion = FaceMotion.load(self.motion)
        if self.reenact:
            motion = reenact(motion, _required(model))
        edits: Sequence[EditFactory] = ()
        if self.score is not None:
            from gtalk.direct.at_work import directed
            from gtalk.direct.score import Score

            score = Score.load(self.score)
            score.check_length(motion.duration_s, f"score {self.score}")
            person, plain = _required(model), motion
            direction = directed(person, score, lambda makers: iter([edit_motion(plain, person, edits=makers)]))
            edits = direction.edits
            for note in direction.notes:
                print(f"warning: {note}", file=sys.stderr)
        if edits or self.controls != Controls():
            motion = edit_motion(motion, _required(model), self.controls, self.seed, edits)
        if self.output.suffix.lower() == ".csv":
            write_arkit_csv(motion, self.output, None if model is None else rest_landmarks(model))
        else:
            motion.save(self.output)
        print(self.output)


def _required(model: PersonMotionModel | None) -> PersonMotionModel:
    if model is None:
        raise UserError("avatar", expected="the folder of an avatar", got="none", remedy="Add --avatar ME.")
    return model


Action = (
    Annotated[MotionTrain, tyro.conf.subcommand("train")]
    | Annotated[MotionPretrain, tyro.conf.subcommand("pretrain")]
    | Annotated[MotionTrack, tyro.conf.subcommand("track")]
    | Annotated[MotionDrive, tyro.conf.subcommand("drive")]
    | Annotated[MotionEdit, tyro.conf.subcommand("edit")]
)


@dataclass(frozen=True)
class Motion:
    """Learn, track or predict how a face moves: `gtalk motion train --help` and so on."""

    action: Action

    def run(self) -> None:
        """Do it."""
        self.action.run()
