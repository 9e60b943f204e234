"""What many people's mouths have in common: one network body, a head for each person's own basis.

    datasets ─▶ data of each person ─▶ shared body + one head each ─▶ the body alone, as a file

A person's training can start from such a body: the mouth then needs less of that person's speech.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

from gtalk.errors import UserError
from gtalk.files import atomic_path, sha256_of_file
from gtalk.motion.model.net import MotionNet, NetConfig
from gtalk.motion.model.storage import check_finite, hollow_net, net_config_of
from gtalk.motion.training.crops import Crops
from gtalk.motion.training.fit_net import AdamState, FitConfig, average, standardise
from gtalk.motion.training.losses import LossConfig, MotionLoss
from gtalk.motion.training.training_data import TrainingData
from gtalk.progress import OnProgress, Progress, silent
from gtalk.reading.untrusted import parse_json
from gtalk.speech.features import SpeechFeatures
from gtalk.speech.student import load_student
from gtalk.types import VIDEO_FPS

BASE_VERSION = 1
HEAD = "out."
"""Prefix of the parameters that belong to one person."""
_SHARED = ("stem", "down", "blocks", "head")


@dataclass(frozen=True)
class BaseModel:
    """A body to start from."""

    net_config: NetConfig
    features: SpeechFeatures
    """The groups; what voice they expect does not matter."""
    tensors: dict[str, torch.Tensor]
    """State of a MotionNet without its head."""
    sha256: str = ""
    """Of the file that it was read from."""

    def check(self, net_config: NetConfig, features: SpeechFeatures) -> None:
        """Raise UserError when a training with these settings cannot start from it."""
        wanted, own = ", ".join(features.groups), ", ".join(self.features.groups)
        if (net_config, wanted) != (self.net_config, own):
            raise UserError(
                "init",
                expected=f"a base model with {net_config} and the features {wanted}",
                got=f"{self.net_config} and {own}",
                remedy="Use the settings that it was pre-trained with, or another base model.",
            )


def pretrain(
    people: Sequence[TrainingData],
    net_config: NetConfig,
    loss_config: LossConfig,
    config: FitConfig,
    seed: int = 0,
    on_progress: OnProgress = silent,
) -> BaseModel:
    """Train a body on several people; each step takes its batch from one of them, longer clips more often.

    Args:
        people: one entry for each person, all with the same groups of features.
        net_config: the network.
        loss_config: the loss, in every person's own basis; without the judge, which belongs to one person.
        config: the optimiser; `steps` are for a minute of speech and grow with the root of its length, up to six times.
        seed: of weights, people and crops.
        on_progress: told at every look.
    """
    _check(people)
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    nets = [MotionNet(m.features.size, m.utterances[0].codes.shape[1], net_config) for m in people]
    standardise(nets[0], [utterance for m in people for utterance in m.utterances], ())
    for net in nets[1:]:
        for name in _SHARED:
            setattr(net, name, getattr(nets[0], name))
        net.shift, net.scale = nets[0].shift, nets[0].scale
    losses = [MotionLoss(m.basis, loss_config) for m in people]
    pools = [
        [Crops(utterances, nets[0], config.crop_frames) for utterances in (m.utterances, m.copies or m.utterances)]
        for m in people
    ]
    frames = np.array([len(m.motion) for m in people], np.float64)
    chances = torch.from_numpy(np.sqrt(frames))
    steps = round(config.steps * float(np.clip(np.sqrt(frames.sum() / (60.0 * VIDEO_FPS)), 1.0, 6.0)))
    parameters = list({id(p): p for net in nets for p in net.parameters()}.values())
    descent = AdamState(parameters, config, steps)
    kept = copy.deepcopy(nets[0]).eval()
    for step in range(1, steps + 1):
        who = int(torch.multinomial(chances, 1, generator=generator))
        half = config.batch // 2
        draws = [pool.draw(n, generator) for pool, n in zip(pools[who], (config.batch - half, half), strict=True)]
        rows, codes, usable = (torch.cat(part) for part in zip(*draws, strict=True))
        nets[who].train()
        total = descent.step(losses[who](nets[who](rows).transpose(1, 2), codes, usable))
        average(kept, nets[0], min(config.averaging, 1.0 - 1.0 / step))
        if step % config.check_every == 0 or step == steps:
            on_progress(Progress("pre-training", step, steps, f"loss {float(total):.3f}"))
    tensors = {name: value for name, value in kept.state_dict().items() if not name.startswith(HEAD)}
    return BaseModel(net_config, replace(people[0].features, prior=None), tensors)


def save_base(base: BaseModel, path: Path) -> None:
    """Write one safetensors file, its settings in the header."""
    settings = {
        "schema_version": BASE_VERSION,
        "kind": "motion-base",
        "net": dataclasses.asdict(base.net_config),
        "phones": base.features.phones,
        "ears": load_student().name if base.features.ears else "",
    }
    arrays = {name: np.ascontiguousarray(value.numpy()) for name, value in base.tensors.items()}
    with atomic_path(Path(path)) as temporary:
        save_file(arrays, temporary, metadata={"gtalk": json.dumps(settings)})


def load_base(path: Path) -> BaseModel:
    """Read what `save_base` wrote. Raises UserError when it is not such a file."""
    try:
        with safe_open(str(path), framework="np") as file:
            settings = parse_json((file.metadata() or {})["gtalk"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        check_finite(arrays)
        if settings["kind"] != "motion-base" or settings["schema_version"] != BASE_VERSION:
            raise ValueError(f"kind {settings['kind']!r}, schema_version {settings['schema_version']!r}")
        tensors = {name: torch.from_numpy(value) for name, value in arrays.items()}
        features = SpeechFeatures(bool(settings["phones"]), ears=bool(settings.get("ears")))
        if features.ears and settings["ears"] != load_student().name:
            raise ValueError(f"made with other ears ({settings['ears']}) than this gtalk's ({load_student().name})")
        base = BaseModel(net_config_of(settings["net"]), features, tensors, sha256_of_file(path))
        _compare(base)
        return base
    except Exception as error:  # whatever a stranger's file does to us, it is the file that is at fault
        raise UserError(
            f"base model {path}",
            expected=f"a file of `gtalk motion pretrain`, schema_version {BASE_VERSION}",
            got=f"{type(error).__name__}: {error}",
            remedy="Check the path, or pre-train again.",
        ) from error


def _compare(base: BaseModel) -> None:
    """Raise ValueError when the tensors are not those of the network that the settings name."""
    wanted = hollow_net(base.features.size, 1, base.net_config).state_dict()
    shapes = {name: tuple(value.shape) for name, value in wanted.items() if not name.startswith(HEAD)}
    if shapes != {name: tuple(value.shape) for name, value in base.tensors.items()}:
        raise ValueError("its tensors do not fit its settings")


def _check(people: Sequence[TrainingData]) -> None:
    if not people:
        raise UserError("datasets", expected="at least one", got="none", remedy="Run `gtalk prepare` first.")
    if len({tuple(m.features.groups) for m in people}) > 1:
        raise UserError(
            "pre-training",
            expected="the same features for all",
            got="others",
            remedy="Change the config.",
        )
