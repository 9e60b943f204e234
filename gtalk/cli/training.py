"""`gtalk train | prepare | fit`: from a clip to an avatar."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from gtalk.avatar.base import Consent
from gtalk.benchmark.config import BenchmarkConfig
from gtalk.cli.bars import Bars
from gtalk.cli.options import OutputPath
from gtalk.compute.device import Device
from gtalk.files import exclusive
from gtalk.fit.events import DoneEvent, PreviewEvent, RollbackEvent, StartEvent, StepEvent
from gtalk.making.train import (
    Note,
    Preset,
    Renderer,
    TrainEvent,
    fit_avatar,
    make_avatar,
    require_clips,
    require_consent,
)  # fmt: skip
from gtalk.prepare.pipeline import PrepareConfig
from gtalk.prepare.tracking.track import TrackConfig
from gtalk.progress import Progress

Clips = Annotated[
    tyro.conf.Positional[tuple[Path, ...]],
    tyro.conf.arg(metavar="CLIP [CLIP ...]", help_behavior_hint="(at least one)"),
]
Words = Annotated[str, tyro.conf.arg(metavar="TEXT", help_behavior_hint="(required)")]
DatasetFolder = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DATASET")]


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
        require_clips(self.clips)
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
    """On what ground the likeness is used, in a sentence that says yes. Kept in the avatar, bound to its weights."""
    watermark: Literal["on", "off"] = "on"
    """off: pictures carry no invisible mark. Only where the person chose so and the sentence of consent says it."""
    renderer: Renderer = "auto"
    """gaussian: 3D Gaussians. radiance: a hash-grid radiance field. auto: what measures better on this machine."""
    preset: Preset = "auto"
    """cpu: minutes without a GPU. gpu: 512 x 512 in minutes on one. quality: slower and finer. auto: by machine."""
    config: Path | None = None
    """A YAML file instead of a preset."""
    size: int | None = None
    """Height of the images that are learned, never above the dataset's; by default the preset's."""
    device: Device = "auto"
    """Where to fit. auto: on a GPU where there is one."""
    restart: bool = False
    """Begin anew although an unfinished fit could be resumed."""

    def run(self) -> None:
        """Do it."""
        from gtalk.dataset.validate import validate

        consent = require_consent(self.person, self.consent, self.watermark == "on")
        validate(self.dataset, deep=False)
        with exclusive(self.output), Bars() as bars:
            fit_avatar(
                self.dataset, self.output, consent, self.renderer, self.preset, config=self.config, size=self.size,
                device=self.device, restart=self.restart, on_event=shown(bars),
            )  # fmt: skip
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
    """On what ground the likeness is used, in a sentence that says yes. Kept in the avatar, bound to its weights."""
    watermark: Literal["on", "off"] = "on"
    """off: pictures carry no invisible mark. Only where the person chose so and the sentence of consent says it."""
    renderer: Renderer = "auto"
    """gaussian: 3D Gaussians. radiance: a hash-grid radiance field. auto: what measures better on this machine."""
    preset: Preset = "auto"
    """cpu: minutes without a GPU. gpu: 512 x 512 in minutes on one. quality: slower and finer. auto: by machine."""
    device: Device = "auto"
    """Where to fit and to train. auto: on a GPU where there is one."""
    dataset: Path | None = None
    """Where the dataset is kept; AVATAR/dataset by default."""
    expressions: Path | None = None
    """A video of the same person making faces, half a minute or so, from about the front, a quiet face among them: the
    fit looks at its faces too, and learns them as the avatar's own expressions, kept in AVATAR/expressions.yaml with a
    thumbnail of each in AVATAR/expressions."""
    labels: Path | None = None
    """A CSV with the columns start_s,end_s,name that names them; without it they are found and numbered."""
    view: bool = False
    """Open the viewer on the fit: preview, loss curves, truth beside render. Its address, with a token, is printed."""
    prepare: PrepareOptions = field(default_factory=PrepareOptions)

    def run(self) -> None:
        """Do it."""
        started = time.monotonic()
        with Bars() as bars:
            watch = _open_training_view(bars) if self.view else None
            consent = Consent(self.person, self.consent, self.watermark == "on")
            make_avatar(
                self.clips, self.output, consent, renderer=self.renderer, preset=self.preset, device=self.device,
                dataset=self.dataset, prepare=self.prepare, expressions=self.expressions, labels=self.labels,
                on_event=shown(bars, watch),
            )  # fmt: skip
            bars.say(
                f"avatar: {self.output} ({time.monotonic() - started:.0f} s)\n"
                f"dub:    gtalk dub {self.output} speech.wav -o dub.mp4\nlive:   gtalk view {self.output}"
            )


@dataclass(frozen=True)
class Benchmark:
    """Make and measure avatars of many clips: an open benchmark.

    gtalk benchmark clips/ -o results/ --person "Speakers" --consent "They agreed to be measured; I have their word."

    Writes results/benchmark.json (schema beside it), benchmark.md and NAME/RENDERER.json of each clip. A clip that
    cannot be used is a row with the reason. A run that was interrupted goes on where it stood.
    docs/measured/benchmark.md says what is measured, and has what peers report beside it.
    """

    clips: Clips
    """Films of one person each, or folders of them."""
    output: OutputPath
    """Folder of the results."""
    person: Words = ""
    """Whose likenesses these are. Kept in the avatars."""
    consent: Words = ""
    """On what ground they are used, in a sentence that says yes."""
    config: BenchmarkConfig = field(default_factory=BenchmarkConfig)

    def run(self) -> None:
        """Do it."""
        from gtalk.benchmark.report import table
        from gtalk.benchmark.run import benchmark

        with Bars() as bars:
            told = benchmark(self.clips, self.output, Consent(self.person, self.consent), self.config, shown(bars))
        print(table(told["rows"], told["means"]))


def shown(bars: Bars, watch: Callable[[TrainEvent], None] | None = None) -> Callable[[TrainEvent], None]:
    """Draws events: a bar for each stage, a line at rollbacks and at the end; `watch` sees each one too."""

    def show(event: TrainEvent) -> None:
        if watch is not None:
            watch(event)
        if isinstance(event, Progress):
            bars(event)
        elif isinstance(event, Note):
            bars.say(event.text)
        elif isinstance(event, StartEvent):
            bars.say(f"fit: on {event.backend}")
        elif isinstance(event, StepEvent):
            bars(Progress("fit", event.step, event.total_steps, f"loss {event.loss:.4f}  {event.psnr:.1f} dB"))
        elif isinstance(event, PreviewEvent):
            bars.picture(event.truth, event.render, event.step)
        elif isinstance(event, RollbackEvent):
            bars.say(f"fit: {event.reason} at step {event.step}, went back to step {event.back_to}")
        elif isinstance(event, DoneEvent):
            bars.say("fit: " + ", ".join(f"{name} {value:.4g}" for name, value in event.metrics.items()))

    return show


def _open_training_view(bars: Bars) -> Callable[[TrainEvent], None]:
    from gtalk.viewer.gui.training import TrainingView

    view = TrainingView(report=bars.say)
    bars.say(f"watch the fit: {view.url}")

    def show(event: TrainEvent) -> None:
        if isinstance(event, StepEvent):
            view.step(event.step, event.total_steps, event.loss, event.psnr)
        elif isinstance(event, PreviewEvent):
            view.preview(event.truth, event.render)

    return show
