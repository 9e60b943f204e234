"""`gtalk train | prepare | fit`: from a clip to an avatar."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from gtalk.avatar.base import Consent
from gtalk.cli.bars import Bars
from gtalk.cli.options import OutputPath
from gtalk.errors import UserError
from gtalk.files import exclusive
from gtalk.prepare.pipeline import PrepareConfig
from gtalk.prepare.tracking.track import TrackConfig
from gtalk.progress import Progress

if TYPE_CHECKING:
    from gtalk.fit.events import FitEvent

Clips = Annotated[
    tyro.conf.Positional[tuple[Path, ...]],
    tyro.conf.arg(metavar="CLIP [CLIP ...]", help_behavior_hint="(at least one)"),
]
Words = Annotated[str, tyro.conf.arg(metavar="TEXT", help_behavior_hint="(required)")]
DatasetFolder = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DATASET")]
Renderer = Literal["auto", "gaussian", "radiance"]
Preset = Literal["auto", "cpu", "gpu", "quality"]


@dataclass(frozen=True)
class PrepareOptions(PrepareConfig):
    """How clips become a dataset."""

    track: tyro.conf.Suppress[TrackConfig] = field(default_factory=TrackConfig)
    """Not for the command line: its dozens of numbers stay at what was measured to be best."""


@dataclass(frozen=True)
class Prepare:
    """Turn clips of one person into a dataset: frames, sound, landmarks, poses, masks, and a report.

    gtalk prepare me.mp4 -o me.dataset

    Stages that are done are kept: run the same command again after an interruption, or with other
    options, and only what changed is made again. Open DATASET/report.html before you train.
    """

    clips: Clips
    """Video files of one person in one setting; several become segments of one dataset."""
    output: OutputPath
    """Folder of the dataset."""
    stage: str | None = None
    """Make again from here on: media, landmarks, sync, track, masks, background, audio, motion or report."""
    config: PrepareOptions = field(default_factory=PrepareOptions)

    def run(self) -> None:
        """Do it."""
        _require_clips(self.clips)
        with exclusive(self.output), Bars() as bars:
            from gtalk.prepare.pipeline import prepare

            prepare(list(self.clips), self.output, self.config, bars, stage=self.stage)
            bars.say(f"dataset: {self.output}\nreport:  {self.output / 'report.html'}")


@dataclass(frozen=True)
class Fit:
    """Fit a renderer to a dataset: the avatar's looks.

    gtalk fit me.dataset -o me --person "Ada" --consent "I am Ada and agree to this avatar."
    """

    dataset: DatasetFolder
    """Folder made by `gtalk prepare`."""
    output: OutputPath
    """Folder of the avatar."""
    person: Words = ""
    """Whose likeness this is. Kept in the avatar."""
    consent: Words = ""
    """On what ground the likeness is used, in a sentence. Kept in the avatar."""
    renderer: Renderer = "auto"
    """gaussian: 3D Gaussians. radiance: a hash-grid radiance field. auto: what measures better on this machine."""
    preset: Preset = "auto"
    """cpu: minutes without a GPU. gpu: 512 x 512 in minutes on one. quality: slower and finer. auto: by machine."""
    config: Path | None = None
    """A YAML file instead of a preset."""
    restart: bool = False
    """Begin anew although an unfinished fit could be resumed."""

    def run(self) -> None:
        """Do it."""
        from gtalk.dataset.validate import validate

        consent = require_consent(self.person, self.consent)
        validate(self.dataset, deep=False)
        with exclusive(self.output), Bars() as bars:
            fit_avatar(bars, self.dataset, self.output, self.renderer, self.preset, self.config, consent, self.restart)
            bars.say(f"avatar: {self.output}")


@dataclass(frozen=True)
class Train:
    """Make a talking avatar from clips of one person: prepare, fit, learn how the face moves with speech.

    gtalk train me.mp4 -o me --person "Ada" --consent "I am Ada and agree to this avatar."

    A run that was interrupted goes on where it stood when the same command is given again.
    """

    clips: Clips
    """Video files of one person in one setting, a few minutes in all, with speech."""
    output: OutputPath
    """Folder of the avatar."""
    person: Words = ""
    """Whose likeness this is. Kept in the avatar."""
    consent: Words = ""
    """On what ground the likeness is used, in a sentence. Kept in the avatar."""
    renderer: Renderer = "auto"
    """gaussian: 3D Gaussians. radiance: a hash-grid radiance field. auto: what measures better on this machine."""
    preset: Preset = "auto"
    """cpu: minutes without a GPU. gpu: 512 x 512 in minutes on one. quality: slower and finer. auto: by machine."""
    dataset: Path | None = None
    """Where the dataset is kept; AVATAR/dataset by default."""
    view: bool = False
    """Open the viewer on the fit: preview, loss curves, truth beside render."""
    prepare: PrepareOptions = field(default_factory=PrepareOptions)

    def run(self) -> None:
        """Do it."""
        _require_clips(self.clips)
        consent = require_consent(self.person, self.consent)
        dataset = self.dataset or self.output / "dataset"
        started = time.monotonic()
        with exclusive(self.output), exclusive(dataset), Bars() as bars:
            from gtalk.motion.training.train import check_dataset
            from gtalk.prepare.pipeline import prepare

            prepare(list(self.clips), dataset, self.prepare, bars)
            bars.say(f"report: {dataset / 'report.html'}")
            check_dataset(dataset)  # too short a clip is told now, not after the fit
            watch = _open_training_view(bars) if self.view else None
            fit_avatar(bars, dataset, self.output, self.renderer, self.preset, None, consent, watch=watch, keep=True)
            train_motion_of(bars, [dataset], self.output)
            bars.say(
                f"avatar: {self.output} ({time.monotonic() - started:.0f} s)\n"
                f"dub:    gtalk dub {self.output} speech.wav -o dub.mp4\nlive:   gtalk view {self.output}"
            )


def require_consent(person: str, statement: str) -> Consent:
    """Whose likeness and why it may be used. Raises UserError when either is missing."""
    if not person.strip() or not statement.strip():
        raise UserError(
            "--person and --consent",
            expected="whose likeness this is, and that the person agreed, in a sentence",
            got="nothing" if not (person.strip() or statement.strip()) else "only one of them",
            remedy='For example: --person "Ada Lovelace" --consent "I am Ada and agree to this avatar."',
        )
    return Consent(person.strip(), statement.strip())


def fit_avatar(
    bars: Bars,
    dataset: Path,
    output: Path,
    renderer: Renderer,
    preset: Preset,
    config: Path | None,
    consent: Consent,
    restart: bool = False,
    watch: Callable[[FitEvent], None] | None = None,
    keep: bool = False,
) -> None:
    """Run a fit, drawing its events; with `keep`, not where the folder holds what it would make."""
    from gtalk.fit import run

    kind, named, why = choose(renderer, preset)
    bars.say(f"renderer: {kind}, preset {config or named} ({why})")
    chosen = run.load_config(kind, str(config or named))
    if keep and run.is_fitted(dataset, output, kind, chosen, consent):
        bars.say("fit: done before, kept")
        return
    draw_fit(bars, run.fit(dataset, output, kind, chosen, consent, resume=not restart), watch)


def choose(renderer: Renderer, preset: Preset) -> tuple[str, str, str]:
    """What `auto` means on this machine: (renderer, preset, reason)."""
    import torch

    has_gpu = torch.cuda.is_available()
    reason = f"{'a GPU' if has_gpu else 'no GPU'} on this machine"
    chosen = "gaussian" if renderer == "auto" else renderer  # measured: finer and quicker to draw than the field
    return chosen, ("gpu" if has_gpu else "cpu") if preset == "auto" else preset, reason


def draw_fit(bars: Bars, events: Iterator[FitEvent], watch: Callable[[FitEvent], None] | None = None) -> None:
    """Consume a fit's events: a bar, a line at rollbacks and at the end; `watch` sees each one too."""
    from gtalk.fit.events import DoneEvent, RollbackEvent, StartEvent, StepEvent

    for event in events:
        if watch is not None:
            watch(event)
        if isinstance(event, StepEvent):
            bars(Progress("fit", event.step, event.total_steps, f"loss {event.loss:.4f}  {event.psnr:.1f} dB"))
        elif isinstance(event, StartEvent):
            bars.say(f"fit: on {event.backend}")
        elif isinstance(event, RollbackEvent):
            bars.say(f"fit: {event.reason} at step {event.step}, went back to step {event.back_to}")
        elif isinstance(event, DoneEvent):
            bars.say("fit: " + ", ".join(f"{name} {value:.4g}" for name, value in event.metrics.items()))


def train_motion_of(
    bars: Bars,
    datasets: list[Path],
    output: Path,
    init: Path | None = None,
    latency: Literal["usual", "low"] = "usual",
) -> None:
    """Train the motion model of an avatar, from a base model where there is one."""
    from gtalk.motion.training.train import MotionConfig, train_motion

    train_motion(datasets, output, MotionConfig(latency=latency), on_progress=bars, init=init)


def _open_training_view(bars: Bars) -> Callable[[FitEvent], None]:
    from gtalk.fit.events import PreviewEvent, StepEvent
    from gtalk.viewer.gui.training import TrainingView

    view = TrainingView()
    bars.say(f"watch the fit: {view.url}")

    def show(event: FitEvent) -> None:
        if isinstance(event, StepEvent):
            view.step(event.step, event.total_steps, event.loss, event.psnr)
        elif isinstance(event, PreviewEvent):
            view.preview(event.truth, event.render)

    return show


def _require_clips(clips: tuple[Path, ...]) -> None:
    if not clips:
        raise UserError("CLIP", expected="at least one video file", got="none", remedy="gtalk train me.mp4 -o me")
    for clip in clips:
        if not clip.is_file() or not os.access(clip, os.R_OK):
            raise UserError(
                f"clip {clip}", expected="a readable video file", got="nothing there", remedy="Check the path."
            )
