"""`train_motion`: from datasets of one person to a motion model in the avatar's folder."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from gtalk.compute.device import resolve_device
from gtalk.dataset.format import Dataset
from gtalk.dataset.split import first_test_frame
from gtalk.errors import UserError
from gtalk.files import sha256_of_file, sha256_of_json
from gtalk.geometry.pose import mean_pose, pose_vectors
from gtalk.motion.idle.blinks_gaze import BlinkGazeModel
from gtalk.motion.idle.head_motion import Sway, voice_columns
from gtalk.motion.model.amplitude import opening_gain, stretch
from gtalk.motion.model.articulation import Articulation, Targets, articulations
from gtalk.motion.model.face import FaceMap
from gtalk.motion.model.labial_closure import LipClosure
from gtalk.motion.model.model import N_BROWS, PersonMotionModel, has_motion_model, load_motion_model, save_motion_model
from gtalk.motion.model.net import ROWS_PER_FRAME, MotionNet, NetConfig
from gtalk.motion.model.pause_gate import PauseHabit
from gtalk.motion.model.readout import Readouts
from gtalk.motion.model.vad_gate import gated, learned_lead
from gtalk.motion.training.augment import AugmentConfig
from gtalk.motion.training.fit_net import FitConfig, FitResult, fit_net, predict
from gtalk.motion.training.losses import LossConfig, MotionLoss
from gtalk.motion.training.pretrain import BaseModel, load_base
from gtalk.motion.training.sequences import TrainingClip, Utterance, read_training_clip
from gtalk.motion.training.training_data import TrainingData, gather, split_utterances
from gtalk.progress import OnProgress, Progress, silent
from gtalk.rig.take import on_clip
from gtalk.shapes import Float
from gtalk.speech.features import SpeechFeatures
from gtalk.speech.student import load_student
from gtalk.types import VIDEO_FPS, Motion

_BANK = 3000
LOW_LATENCY_ROWS = 7
"""Rows (10 ms) that a network of low latency looks ahead."""


@dataclass(frozen=True)
class MotionConfig:
    """Settings of the training of a motion model."""

    net: NetConfig = field(default_factory=NetConfig)
    """The network."""
    loss: LossConfig = field(default_factory=LossConfig)
    """Weights of the loss."""
    fit: FitConfig = field(default_factory=FitConfig)
    """The optimiser."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Changed copies of the sound."""
    phones: bool = True
    """Use the phone scores of PocketSphinx's acoustic model; low latency does without."""
    ears: bool = False
    """Let the network listen through gtalk's own ears: visemes in any language."""
    articulation: bool = True
    """Let the ears shut the lips on p, b and m, nearly on f and v, and round them on o, u and w, after the network."""
    without: tuple[str, ...] = ()
    """Groups of features that the network must not see, to measure what each adds."""
    readout: float = 0.4
    """Share in the mouth of a plain regression from what the ears hear, 0 to 1; the network has the rest."""
    validation_share: float = 0.12
    """Share of the training frames, in one block, that decides when to stop and how wide to open the mouth.
    Then the network is trained once more on everything; 0 spares the first training."""
    amplitude: float = 0.8
    """Spread of the mouth's opening that is aimed at, relative to the person's own: regression mumbles."""
    closure: float = 1.0
    """How far p, b and m that are heard shut the lips, 0 to 1; it needs the ears or the phone scores."""
    latency: Literal["usual", "low"] = "usual"
    """How soon lips follow a live voice: usual hears 0.15 s ahead, low 0.09 s and is less exact."""
    seconds: float | None = None
    """Use only the first seconds of each clip, to see what a shorter one would give."""
    seed: int = 0
    """Of everything random."""

    @property
    def network(self) -> NetConfig:
        """The network with the look-ahead that the latency allows."""
        if self.latency == "usual":
            return self.net
        return dataclasses.replace(self.net, future_rows=min(self.net.future_rows, LOW_LATENCY_ROWS))

    @property
    def features(self) -> SpeechFeatures:
        """Not adapted to a voice yet. Phone scores cost 0.03 s of look-ahead, so low latency does without."""
        return SpeechFeatures(self.phones and self.latency == "usual", ears=self.ears or self.articulation)

    @property
    def unheard(self) -> tuple[str, ...]:
        """Groups of features that the network does not see."""
        return self.without if self.ears or not self.articulation else (*self.without, "ears")


def check_dataset(folder: Path) -> None:
    """Raise UserError when a dataset is too short to learn from."""
    read_training_clip(Dataset(folder))


def train_motion(
    datasets: Dataset | Path | Sequence[Dataset | Path],
    output_folder: Path,
    config: MotionConfig = MotionConfig(),
    on_progress: OnProgress = silent,
    resume: bool = True,
    init: Path | None = None,
    device: str = "auto",
    take: Path | None = None,
) -> PersonMotionModel:
    """Train on the training part of datasets of one person, and write motion.json and motion.safetensors.

    Args:
        datasets: one or more dataset folders; frames from `first_test_frame` on are never read.
        output_folder: the avatar's folder; made if it is not there.
        config: settings.
        on_progress: told after every step.
        resume: return the model that is there if it was made from the same inputs with the same settings.
        init: a base model to start from, made by `gtalk motion pretrain`.
        take: dataset of an expression take that the renderer was fitted with: nothing is learned from it but what the
            person's basis has to hold.
        device: where to train: auto, cpu or cuda. The model listens on the processor in any case.

    Raises:
        UserError: the clips are too short, or the folder cannot be written.
    """
    several = [datasets] if isinstance(datasets, (Dataset, Path, str)) else list(datasets)
    opened = [d if isinstance(d, Dataset) else Dataset(Path(d)) for d in several]
    if not opened:
        raise UserError("datasets", expected="at least one", got="none", remedy="Run `gtalk prepare` first.")
    base = None if init is None else load_base(Path(init))
    if base is not None:
        base.check(config.network, config.features)
    shown = None if take is None else Dataset(Path(take))
    key = _key(opened, config, base, shown)
    if resume and has_motion_model(output_folder):
        model = load_motion_model(output_folder)
        if model.facts.get("key") == key:
            return model
    clips = [read_training_clip(d, config.seconds) for d in opened]
    moved = None
    if shown is not None:
        known = Motion.concatenate([d.motion[: first_test_frame(d.n_frames)] for d in opened])
        moved = on_clip(shown.motion, known)
    model = fit_motion_model(clips, config, on_progress, {"key": key}, base, resolve_device(device), moved)
    save_motion_model(model, Path(output_folder))
    return model


def fit_motion_model(
    clips: list[TrainingClip],
    config: MotionConfig,
    on_progress: OnProgress = silent,
    facts: dict | None = None,
    base: BaseModel | None = None,
    device: torch.device | str = "cpu",
    take: Motion | None = None,
) -> PersonMotionModel:
    """The training itself, on clips of one person in memory. `take`: see `gather`."""
    started_s = time.perf_counter()
    data = gather(clips, config.features, config.augment, config.seed, on_progress, take)
    model = fit_material(data, config, on_progress, facts, base, device)
    model.facts["train_s"] = round(time.perf_counter() - started_s, 2)
    return model


def fit_material(
    data: TrainingData,
    config: MotionConfig,
    on_progress: OnProgress = silent,
    facts: dict | None = None,
    base: BaseModel | None = None,
    device: torch.device | str = "cpu",
) -> PersonMotionModel:
    """The training without what `gather` has done."""
    centre = mean_pose(data.motion.head_pose[data.motion.valid])
    pose = pose_vectors(data.motion.head_pose, centre)
    face = FaceMap.fit(data.motion, data.basis, data.silent_frames())
    targets = _targets(data) if data.features.ears else None
    result, readouts, gain, lead = _fit(data, face.rest, targets, config, on_progress, base, device)
    said = _spoken(data, result.net, readouts, _after(data, face.rest, targets, config))
    pauses = PauseHabit.learn(data.utterances, said, data.features, face.rest, data.basis)
    sway, eyes = _idle_life(data, result.net, pose)
    mouth = np.concatenate([t.codes[t.usable, :-N_BROWS] for t in data.utterances])
    facts = {
        **(facts or {}),
        "best_step": result.step,
        "opening_gain": round(gain, 4),
        "frames": len(data.motion),
        "history": _plain(result.history),
    }
    return PersonMotionModel(
        data.basis,
        data.features,
        config.network,
        result.net.eval(),
        face,
        sway,
        eyes,
        centre,
        data.brow_scale,
        mouth[np.linspace(0, len(mouth) - 1, min(len(mouth), _BANK)).round().astype(int)],
        facts,
        lead,
        config.closure,
        targets,
        pauses,
        readouts,
    )


def _fit(
    data: TrainingData,
    rest: Float[np.ndarray, " Km"],
    targets: Targets | None,
    config: MotionConfig,
    on_progress: OnProgress,
    base: BaseModel | None,
    device: torch.device | str,
) -> tuple[FitResult, Readouts | None, float, int]:
    """(network trained on everything for as long as a held-back block advises, readouts, their stretch, lead)."""
    loss, n_mouth = MotionLoss(data.basis, config.loss), len(data.basis.mouth)
    minutes = len(data.motion) / (60.0 * VIDEO_FPS)
    steps = max(1, round(config.fit.steps * float(np.clip(np.sqrt(minutes), 1.0, 4.0))))
    blind = [i for name in config.unheard for i in data.columns(name)]
    start = None if base is None else base.tensors
    total = steps * (2 if config.validation_share > 0 else 1)

    def train(
        utterances: list[Utterance], more: list[Utterance], held: list[Utterance], steps: int, offset: int
    ) -> FitResult:
        def report(step: int, terms: dict[str, float]) -> None:
            note = " ".join(f"{name} {value:.3f}" for name, value in terms.items() if not math.isnan(value))
            on_progress(Progress("motion", min(offset + step, total), total, note))

        fit = dataclasses.replace(config.fit, steps=steps)
        return fit_net(utterances, more, held, loss, config.network, fit, config.seed, blind, start, report, device)

    def read(utterances: list[Utterance]) -> Readouts | None:
        return Readouts.learn(utterances, data.features, n_mouth, config.readout, config.network.future_rows)

    after, readouts = _after(data, rest, targets, config), read(data.utterances)
    if config.validation_share <= 0:
        result = train(data.utterances, data.copies, [], steps, 0)
        mouths = _spoken(data, result.net, readouts, after)
        return result, readouts, 1.0, learned_lead(data.utterances, mouths, data.activity_column, rest, data.basis)
    originals, held = split_utterances(data.utterances, config.validation_share)
    first = train(originals, split_utterances(data.copies, config.validation_share)[0], held, steps, 0)
    mouths = _spoken(data, first.net, read(originals), after)
    lead = learned_lead(data.utterances, mouths, data.activity_column, rest, data.basis)
    shown = [gated(t, m, data.activity_column, rest, lead)[t.usable] for t, m in zip(held, mouths, strict=True)]
    true = [utterance.codes[utterance.usable, :n_mouth] for utterance in held]
    gain = opening_gain(np.concatenate(shown), np.concatenate(true), data.basis, config.amplitude)
    result = train(data.utterances, data.copies, [], first.step, steps)
    stretch(result.net, n_mouth, gain)
    result.history = first.history + result.history
    return result, None if readouts is None else readouts.stretched(gain), gain, lead


def _spoken(
    data: TrainingData, net: MotionNet, readouts: Readouts | None, after: tuple[LipClosure | Articulation, ...]
) -> list[np.ndarray]:
    """Mouth codes of the recordings, not gated."""
    mouths = []
    for utterance in data.utterances:
        mouth = predict(net, utterance.rows, len(utterance.codes))[:, : len(data.basis.mouth)]
        if readouts is not None:
            mouth = readouts.mixed(mouth, utterance.rows, 0, data.features)
        for articulate in after:
            mouth = articulate(mouth, utterance.rows, 0)
        mouths.append(mouth)
    return mouths


def _after(
    data: TrainingData, rest: Float[np.ndarray, " Km"], targets: Targets | None, config: MotionConfig
) -> tuple[LipClosure | Articulation, ...]:
    return articulations(data.features, data.basis, rest, targets, config.closure, config.network.future_rows)


def _targets(data: TrainingData) -> Targets:
    """What the lips do on the sounds that the ears hear in the training recordings."""
    codes, rows = [], []
    for utterance in data.utterances:
        frames = np.flatnonzero(utterance.usable)
        at = frames * ROWS_PER_FRAME + data.features.ears_lag_rows
        frames, at = frames[at < len(utterance.rows)], at[at < len(utterance.rows)]
        codes.append(utterance.codes[frames, : len(data.basis.mouth)])
        rows.append(utterance.rows[at])
    return Targets.learn(codes, rows, data.features, data.basis)


def _idle_life(data: TrainingData, net: MotionNet, pose: Float[np.ndarray, "T 6"]) -> tuple[Sway, BlinkGazeModel]:
    """What the head, the eyes and the brows do besides speaking."""
    motion = data.motion
    pitch, energy = data.features.groups["pitch"].start, data.features.groups["energy"].start
    voices, activities, guesses, runs, offset = [], [], [], [], 0
    for clip, utterance in zip(data.clips, data.utterances, strict=True):
        count = len(clip.motion)
        rows = utterance.rows[:, [energy, pitch, energy + 1]].astype(np.float64)
        rows[:, 1] *= utterance.rows[:, pitch + 1]
        voices.append(voice_columns(rows, 0, count))
        activities.append(rows[np.minimum(np.arange(count) * ROWS_PER_FRAME, len(rows) - 1), 2])
        guesses.append(predict(net, utterance.rows, count)[:, -N_BROWS:] * data.brow_scale)
        runs += [(s.start + offset, s.stop + offset) for s in clip.segments]
        offset += count
    brows = motion.brows - np.concatenate(guesses)
    values = np.concatenate([pose, brows], 1)
    sway = Sway.fit(values, np.concatenate(voices), np.concatenate(activities), runs, motion.valid)
    return sway, BlinkGazeModel.fit(motion.eyes, motion.gaze, pose, runs, motion.valid, motion.fps)


def _key(datasets: list[Dataset], config: MotionConfig, base: BaseModel | None, take: Dataset | None = None) -> str:
    inputs = [
        [sha256_of_file(d.root / name) for name in ("manifest.json", "motion.npz", "audio.wav")] for d in datasets
    ]
    start = {} if base is None else {"init": base.sha256}
    start |= {} if take is None else {"take": sha256_of_file(take.root / "motion.npz")}
    start |= {"ears": load_student().name} if config.features.ears else {}
    return sha256_of_json({"inputs": inputs, "config": dataclasses.asdict(config), **start})


def _plain(history: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{k: round(v, 5) for k, v in row.items() if not math.isnan(v)} for row in history]
