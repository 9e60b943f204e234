"""The fit as a generator of events: draws frames, steps the model, saves, recovers, resumes.

A fit that is killed and run again goes on from its last checkpoint. On CPU with one thread and a
fixed seed it ends with the same weights, bit for bit, as one that was never stopped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from gtalk.config import to_mapping
from gtalk.dataset.format import Dataset
from gtalk.dataset.split import first_test_frame, person_basis, train_test_split
from gtalk.errors import UserError
from gtalk.files import sha256_of_json
from gtalk.fit.checkpoint import TrainerState, load_checkpoint, save_checkpoint
from gtalk.fit.events import CheckpointEvent, DoneEvent, FitEvent, PreviewEvent, RollbackEvent, StepEvent
from gtalk.fit.frames import FrameCache, TrainingFrame
from gtalk.fit.protocol import FitContext, LateResult, Model, StepResult
from gtalk.fit.sampling import FrameSampler, SamplingConfig, frame_weights
from gtalk.fit.take import TakeFrames

CHECKPOINT_NAME = "fit_checkpoint.safetensors"
RUNNING = 0.05  # weight of the newest step in running means
READ_EVERY = 20  # steps whose results may wait on a device


@dataclass(frozen=True)
class TrainerConfig:
    """How a fit runs, whichever model it fits."""

    RANGES: ClassVar = {
        "size": (16, 8192), "steps": (1, 10_000_000), "frames_per_step": (1, 1024), "seed": (0, 2**63 - 1),
        "cache_mb": (1, 1e7), "report_every": (1, 1e6), "max_rollbacks": (0, 1000), "explode_factor": (1, 1e6),
        "hold_out_share": (0, 0.9), "hold_out_every": (1, 1e6), "patience": (1, 1e6),
    }  # fmt: skip

    size: int = 256
    """Height of the training images in pixels; never above the clip's own."""
    steps: int = 2000
    """Optimiser steps."""
    frames_per_step: int = 1
    """Images looked at in one step."""
    seed: int = 0
    """Everything random comes from it."""
    cache_mb: float = 640.0
    """Memory for decoded training images, in megabytes."""
    report_every: int = 20
    """Steps between progress events."""
    preview_every: int = 100
    """Steps between preview images; 0 for none."""
    checkpoint_every: int = 500
    """Steps between checkpoints; 0 for none."""
    max_rollbacks: int = 3
    """The fit is given up after this many recoveries from a diverged loss."""
    explode_factor: float = 20.0
    """A loss above this multiple of its running mean counts as diverged."""
    hold_out_share: float = 0.0
    """Share of the training frames, their last in time, kept aside to stop early; 0 turns it off."""
    hold_out_every: int = 500
    """Steps between looks at the held-out block."""
    patience: int = 2
    """Looks without a better held-out PSNR before the fit stops."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """How often rare frames are drawn."""


class DivergedError(RuntimeError):
    """The fit diverged again and again; the last good checkpoint is kept."""


def train(
    model: Model,
    dataset: Dataset,
    folder: Path,
    config: TrainerConfig,
    *,
    resume: bool = True,
    take: Dataset | None = None,
) -> Iterator[FitEvent]:
    """Fit `model` to the training frames of `dataset`; checkpoints go to `folder`.

    Yields events; the last one is DoneEvent. Raises UserError when the dataset has too few frames with
    a face, DivergedError when the loss cannot be kept finite. `take`: an expression take of the same person, of which
    a model of Gaussians looks at the face too.
    """
    yield from _Fit(model, dataset, Path(folder), config, take).run(resume)


def training_size(dataset: Dataset, height: int) -> tuple[int, int]:
    """(width, height) of training images: the clip's aspect, never above the clip's own size."""
    clip_width, clip_height = dataset.size
    height = min(height, clip_height)
    return round(clip_width * height / clip_height), height


class _Fit:
    def __init__(
        self, model: Model, dataset: Dataset, folder: Path, config: TrainerConfig, take: Dataset | None
    ) -> None:
        self.model, self.config = model, config
        self.path = folder / CHECKPOINT_NAME
        indices, _ = train_test_split(dataset)
        if len(indices) < 3:
            raise UserError(
                f"dataset {dataset.root}",
                expected="at least 3 training frames with a face",
                got=str(len(indices)),
                remedy="Use a longer clip, or one where the face is seen.",
            )
        kept = max(3, round(len(indices) * (1.0 - config.hold_out_share)))
        self.indices, self.held_out = indices[:kept], indices[kept:]
        size = training_size(dataset, config.size)
        shown = None if take is None else TakeFrames(take, dataset, size)
        basis = person_basis(
            [dataset.motion[: first_test_frame(dataset.n_frames)]], None if shown is None else shown.motion
        )
        frames = FrameCache(dataset, size, config.cache_mb, shown)
        looked_at = shown if model.learns_faces else None
        if looked_at is not None:  # the clip is looked at as often as without it
            config = self.config = replace(
                config, steps=round(config.steps / (1.0 - looked_at.share(len(self.indices))))
            )
        self.context = FitContext(
            dataset, frames, self.indices, basis, dataset.camera.resized(*size), config.seed, looked_at
        )
        weights = frame_weights(dataset.motion, basis, self.indices, config.sampling)
        weights = weights if looked_at is None else looked_at.weights(weights)
        self.sampler = FrameSampler(self.context.numbers, weights)
        self.rng = torch.Generator().manual_seed(config.seed)
        fingerprint = sha256_of_json(
            [model.kind, model.config_mapping(), _outcome(config), dataset.manifest, len(indices)]
            + ([] if take is None else [take.manifest])
        )
        self.state = TrainerState(fingerprint)
        self.started = time.perf_counter()
        self.pending: list[StepResult | LateResult] = []

    def run(self, resume: bool) -> Iterator[FitEvent]:
        torch.manual_seed(self.config.seed)
        self.model.prepare(self.context)
        if resume and self.path.exists():
            self._load()
        if self.config.checkpoint_every and self.state.step == 0:
            yield self._save()
        while True:
            if self.state.step < self.config.steps and not self._stale():
                problem = self._step()
                if not problem:
                    yield from self._reports()
                    continue
            elif _finite(self.model.state()):
                break
            else:
                problem = "a parameter is not finite"  # which the loss need not show
            yield self._roll_back(problem)
        if self.config.checkpoint_every:
            yield self._save()
        yield DoneEvent(self.model.avatar(), self._metrics())

    def _step(self) -> str:
        """One step. Returns what is wrong with it, or nothing."""
        state, config = self.state, self.config
        frames = [self.context.frames[i] for i in self.sampler.draw(config.frames_per_step, self.rng)]
        result = self.model.train_step(frames, state.step / config.steps, self.rng)
        self.pending.append(result)
        state.step += 1
        due = not isinstance(result, LateResult) or len(self.pending) >= READ_EVERY or self._reports_due()
        return self._account() if due else ""

    def _account(self) -> str:
        """Look at the results of the last steps, with one read from their device. Returns what is wrong with one."""
        state, config = self.state, self.config
        late = [result for result in self.pending if isinstance(result, LateResult)]
        rows = torch.stack([result.values for result in late]).tolist() if late else []
        read = iter([result.read(row) for result, row in zip(late, rows, strict=True)])
        results = [next(read) if isinstance(result, LateResult) else result for result in self.pending]
        first, end = state.step - len(results), state.step
        self.pending.clear()
        for state.step, result in enumerate(results, first):
            if not math.isfinite(result.loss):
                return f"loss is {result.loss}"
            if state.step > 50 and result.loss > config.explode_factor * max(state.loss, 1e-6):
                return f"loss rose from {state.loss:.4g} to {result.loss:.4g}"
            weight = max(RUNNING, 1.0 / (state.step + 1))
            state.loss += weight * (result.loss - state.loss)
            state.squared_error += weight * (result.squared_error - state.squared_error)
            self.terms = result.terms
        state.step = end
        return ""

    def _reports_due(self) -> bool:
        """Whether something is made of this step that must not be made of a broken one."""
        step, config = self.state.step, self.config
        every = [config.report_every, config.preview_every, config.checkpoint_every]
        every += [config.hold_out_every] if len(self.held_out) else []
        return step == config.steps or any(number and step % number == 0 for number in every)

    def _reports(self) -> Iterator[FitEvent]:
        step, config = self.state.step, self.config
        if step % config.report_every == 0 or step == config.steps:
            yield StepEvent(step, config.steps, self.state.loss, self._psnr(), self._elapsed(), self.terms)
        if config.preview_every and step % config.preview_every == 0:
            yield self._preview()
        if config.checkpoint_every and step % config.checkpoint_every == 0 and step < config.steps:
            yield self._save()
        if len(self.held_out) and step % config.hold_out_every == 0:
            self._check_held_out()

    def _preview(self) -> PreviewEvent:
        # A fixed frame, so that looking does not disturb what is drawn next.
        frame = self.context.frames[int(self.indices[len(self.indices) // 2])]
        return PreviewEvent(frame.rgb, _render(self.model, self.context, frame), self.state.step)

    def _check_held_out(self) -> None:
        errors = []
        for index in self.held_out[:: max(1, len(self.held_out) // 8)]:
            frame = self.context.frames[int(index)]
            difference = _render(self.model, self.context, frame).astype(np.float32) - frame.rgb
            errors.append(float((difference**2).mean()) / 255.0**2)
        psnr = -10.0 * math.log10(max(float(np.mean(errors)), 1e-10))
        better = psnr > self.state.best_held_out
        self.state.stale = 0 if better else self.state.stale + 1
        self.state.best_held_out = max(psnr, self.state.best_held_out)

    def _stale(self) -> bool:
        return len(self.held_out) > 0 and self.state.stale >= self.config.patience

    def _save(self) -> CheckpointEvent:
        state = self.model.state()
        # A parameter can be broken before the loss shows it; such a state must not replace a good one.
        if _finite(state):
            self.state.elapsed_s = self._elapsed()
            self.started = time.perf_counter()
            save_checkpoint(self.path, state, self.rng.get_state(), self.state)
        return CheckpointEvent(self.path, self.state.step)

    def _load(self) -> None:
        tensors, rng, state = load_checkpoint(self.path)
        if state.fingerprint != self.state.fingerprint:
            return  # of another dataset or config: start afresh, the file is overwritten
        self.model.load_state(tensors)
        self.rng.set_state(rng)
        self.state = state

    def _roll_back(self, reason: str) -> RollbackEvent:
        step, rollbacks = self.state.step, self.state.rollbacks + 1
        if rollbacks > self.config.max_rollbacks or not self.path.exists():
            raise DivergedError(f"step {step}: {reason}, after {rollbacks - 1} recoveries")
        self._load()
        self.state.rollbacks = rollbacks
        self.model.slow_down(0.5**rollbacks)
        self.rng.manual_seed(self.config.seed + 7919 * rollbacks + step)  # other draws than those that led here
        return RollbackEvent(step, self.state.step, reason)

    def _elapsed(self) -> float:
        return self.state.elapsed_s + time.perf_counter() - self.started

    def _psnr(self) -> float:
        return -10.0 * math.log10(max(self.state.squared_error, 1e-10))

    def _metrics(self) -> dict[str, float]:
        metrics = {"fit_s": self._elapsed(), "steps": float(self.state.step), "train_psnr": self._psnr()}
        if len(self.held_out):
            metrics["held_out_psnr"] = self.state.best_held_out
        return metrics


def _finite(state: dict[str, torch.Tensor]) -> bool:
    return all(bool(t.isfinite().all()) for t in state.values() if t.is_floating_point())


def _outcome(config: TrainerConfig) -> dict:
    """The part of the config that changes what is learned."""
    values = to_mapping(config)
    for name in ("cache_mb", "report_every", "preview_every", "checkpoint_every"):
        values.pop(name)
    return values


def _render(model: Model, context: FitContext, frame: TrainingFrame) -> np.ndarray:
    rgb = model.avatar().render(frame.motion, size=context.frames.size).rgb[0]
    return (rgb.clamp(0.0, 1.0) * 255.0 + 0.5).to(torch.uint8).cpu().numpy()
