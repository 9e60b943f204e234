"""From clips to a talking avatar: what `gtalk train` and `gtalk.train` do."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gtalk.avatar.base import Consent
from gtalk.compute.device import resolve_device
from gtalk.errors import UserError
from gtalk.files import exclusive
from gtalk.fit.events import FitEvent
from gtalk.making.beside import lips_beside
from gtalk.marks.consent import require_yes
from gtalk.progress import Progress

if TYPE_CHECKING:
    from gtalk.prepare.pipeline import PrepareConfig

Renderer = Literal["auto", "gaussian", "radiance"]
Preset = Literal["auto", "cpu", "gpu", "quality"]


@dataclass(frozen=True)
class Note:
    """Something that is worth saying once, as a line of text."""

    text: str


TrainEvent = Progress | Note | FitEvent
"""What the making of an avatar tells: how far a stage is, a line of text, or what the fit says."""


def make_avatar(
    clips: Sequence[Path],
    output: Path,
    consent: Consent,
    *,
    renderer: Renderer = "auto",
    preset: Preset = "auto",
    device: str = "auto",
    dataset: Path | None = None,
    prepare: PrepareConfig | None = None,
    expressions: Path | None = None,
    labels: Path | None = None,
    on_event: Callable[[TrainEvent], None],
) -> None:
    """Prepare clips of one person, fit a renderer, learn how the face moves with speech.

    What is done is kept: the same call goes on where an interrupted one stood. Raises UserError when a clip cannot be
    used, when the consent is none, or when the output cannot be written.

    Args:
        clips: video files of one person in one setting, a few minutes in all, with speech.
        output: folder of the avatar.
        consent: whose likeness it is and why it may be used; kept in the avatar.
        renderer, preset, device: see `gtalk train --help`; auto is what suits this machine.
        dataset: where the dataset is kept; `output`/dataset by default.
        prepare: how clips become a dataset. Gaussians learn images of its `size` where that is not the default.
        expressions: a video of the person making faces; learned as the avatar's own expressions, and looked at by the
            fit, so that they are drawn as they looked.
        labels: a CSV of start_s,end_s,name for that video.
        on_event: told of everything that happens.
    """
    require_clips([*clips, *([] if expressions is None else [expressions])] if clips else clips)
    consent = require_consent(consent.person, consent.statement, consent.watermark)
    from gtalk.fit import run

    kind, named, _ = choose(renderer, preset, device)
    run.load_config(kind, named)  # a preset that does not exist is told now, not after minutes of preparing
    folder = output / "dataset" if dataset is None else dataset
    with ExitStack() as stack:
        for held in dict.fromkeys((output, folder)):
            stack.enter_context(exclusive(held))
        from gtalk.motion.training.train import check_dataset
        from gtalk.prepare import pipeline

        prepare = prepare or pipeline.PrepareConfig()
        size = None if kind != "gaussian" or prepare.size == pipeline.PrepareConfig().size else prepare.size
        pipeline.prepare(list(clips), folder, prepare, on_event)
        on_event(Note(f"report: {folder / 'report.html'}"))
        check_dataset(folder)  # too short a clip is told now, not after the fit
        take, rows = None, []
        if expressions is not None:
            from gtalk.making.takes import prepare_take, save_expressions

            take, rows = prepare_take(expressions, folder, labels, on_event)
        with lips_beside(folder, output, device, take and take.root) as lips:

            def show(event: TrainEvent) -> None:
                on_event(event)
                lips.tell(on_event)

            fit_avatar(
                folder, output, consent, renderer, preset, size=size, device=device, keep=True,
                take=take and take.root, on_event=show,
            )  # fmt: skip
            lips.wait(on_event)
        if take is not None and expressions is not None:
            save_expressions(take, rows, output, expressions.name)
            on_event(Note(f"expressions: {', '.join(row.name for row in rows)} ({output / 'expressions.yaml'})"))


def fit_avatar(
    dataset: Path,
    output: Path,
    consent: Consent,
    renderer: Renderer = "auto",
    preset: Preset = "auto",
    *,
    config: Path | None = None,
    size: int | None = None,
    device: str = "auto",
    restart: bool = False,
    keep: bool = False,
    take: Path | None = None,
    on_event: Callable[[TrainEvent], None],
) -> None:
    """Fit a renderer to a dataset; with `keep`, not where the folder holds what it would make.

    `take`: dataset of an expression take of the same person, whose face is looked at too. `size`: height of the images
    that are learned; by default the preset's. A file's config stays as it is but for that.

    Raises UserError as `gtalk.fit.run.fit` does.
    """
    from gtalk.fit import run
    from gtalk.fit.sizes import sized_for, smaller_than

    kind, named, why = choose(renderer, preset, device)
    on_event(Note(f"renderer: {kind}, preset {config or named} ({why})"))
    chosen = run.load_config(kind, str(config or named))
    if config is None:
        chosen, told = sized_for(chosen, dataset, size)
        on_event(Note(f"pictures: {told}"))
    elif size is not None:
        chosen = dataclasses.replace(chosen, trainer=dataclasses.replace(chosen.trainer, size=size))
        if less := smaller_than(size, dataset):
            on_event(Note(f"pictures: smaller{less}"))
    if device != "auto":
        chosen = dataclasses.replace(chosen, device=device)
    if keep and run.is_fitted(dataset, output, kind, chosen, consent, take):
        on_event(Note("fit: done before, kept"))
        return
    for event in run.fit(dataset, output, kind, chosen, consent, resume=not restart, take=take):
        on_event(event)


def choose(renderer: Renderer, preset: Preset, device: str = "auto") -> tuple[str, str, str]:
    """What `auto` means on this machine: (renderer, preset, reason). Raises UserError for a device that is none."""
    has_gpu = resolve_device(device).type == "cuda"
    reason = f"{'a GPU' if has_gpu else 'no GPU'} {'on this machine' if device == 'auto' else 'is to be used'}"
    chosen = "gaussian" if renderer == "auto" else renderer  # measured: finer and quicker to draw than the field
    return chosen, ("gpu" if has_gpu else "cpu") if preset == "auto" else preset, reason


def require_consent(person: str, statement: str, watermark: bool = True) -> Consent:
    """Whose likeness and why it may be used. Raises UserError for what is no sentence that says yes."""
    require_yes(person, statement, watermark=watermark)
    return Consent(person.strip(), statement.strip(), watermark)


def require_clips(clips: Sequence[Path]) -> None:
    """Raises UserError when there is no clip, or one that cannot be read."""
    if not clips:
        raise UserError("CLIP", expected="at least one video file", got="none", remedy="gtalk train me.mp4 -o me")
    for clip in clips:
        if not clip.is_file() or not os.access(clip, os.R_OK):
            raise UserError(
                f"clip {clip}", expected="a readable video file", got="nothing there", remedy="Check the path."
            )
