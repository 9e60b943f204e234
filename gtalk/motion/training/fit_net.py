"""Training of the network on utterances: random crops, AdamW, averaged weights, a validation block."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from gtalk.motion.model.net import ROWS_PER_FRAME, MotionNet, NetConfig
from gtalk.motion.training.crops import Crops
from gtalk.motion.training.losses import MotionLoss
from gtalk.motion.training.sequences import Utterance
from gtalk.motion.training.sync_expert import SyncExpert, train_expert
from gtalk.shapes import Float


@dataclass(frozen=True)
class FitConfig:
    """How long and how fast to train."""

    steps: int = 300
    """Gradient steps for a minute of speech; they grow with the square root of its length, up to four times."""
    batch: int = 16
    """Crops in a step."""
    crop_frames: int = 48
    """Length of a crop."""
    learning_rate: float = 2e-3
    """At its peak; it warms up for fifty steps and falls along a cosine."""
    weight_decay: float = 0.05
    """Of AdamW."""
    averaging: float = 0.99
    """Decay of the exponential average of the weights, which is what is kept."""
    original_share: float = 0.5
    """Share of crops from the recordings as they are, rather than from augmented copies."""
    check_every: int = 100
    """Steps between looks at the validation block."""


@dataclass
class FitResult:
    """The best network and how it came about."""

    net: MotionNet
    step: int
    history: list[dict[str, float]] = field(default_factory=list)


def fit_net(
    originals: Sequence[Utterance],
    copies: Sequence[Utterance],
    validation: Sequence[Utterance],
    loss: MotionLoss,
    net_config: NetConfig,
    config: FitConfig,
    seed: int = 0,
    blind: Sequence[int] = (),
    start: dict[str, torch.Tensor] | None = None,
    on_step: Callable[[int, dict[str, float]], None] = lambda step, facts: None,
    device: torch.device | str = "cpu",
) -> FitResult:
    """Train from scratch, or from `start`; the averaged weights of the best look at `validation` are kept.

    Args:
        originals: recordings as they are.
        copies: augmented ones.
        validation: the originals with only the held-back frames usable; none: the last weights are kept.
        loss: what to minimise.
        net_config: the network.
        config: the optimiser; `steps` is taken as it is.
        seed: of weights and crops.
        blind: columns of a row that the network must not see.
        start: weights to start from; what is not in it starts as always.
        on_step: told at every look.
        device: where to train; the network that is returned lies in host memory, where it will listen.
    """
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    net = MotionNet(originals[0].rows.shape[1], originals[0].codes.shape[1], net_config)
    standardise(net, originals, blind)
    if start is not None:
        net.load_state_dict(start, strict=False)
        net.scale[list(blind)] = 0.0
    net.to(device)
    kept = copy.deepcopy(net).eval()
    pool = [Crops(utterances, net, config.crop_frames) for utterances in (originals, copies or originals)]
    expert = _expert(net, pool, originals, loss, generator)
    descent = AdamState(net.parameters(), config, config.steps)
    best, result = math.inf, FitResult(kept, 0)
    n_first = round(config.batch * (config.original_share if copies else 1.0))
    for step in range(1, config.steps + 1):
        shares = [(pool[0], n_first), (pool[1], config.batch - n_first)]
        parts = [crops.draw(count, generator) for crops, count in shares if count]
        rows, codes, usable = (torch.cat(part).to(device) for part in zip(*parts, strict=True))
        net.train()
        terms = _terms(net, rows, codes, usable, loss, expert)
        descent.step(terms)
        average(kept, net, min(config.averaging, 1.0 - 1.0 / step))
        if step % config.check_every == 0 or step == config.steps:
            facts = {name: float(term.detach()) for name, term in terms.items()}
            facts["validation"] = validation_loss(kept, validation, loss)
            result.history.append({"step": float(step), **facts})
            on_step(step, facts)
            if not validation or facts["validation"] < best:
                best, result.net, result.step = facts["validation"], copy.deepcopy(kept), step
    result.net.cpu()
    return result


class AdamState:
    """AdamW with a warm-up of fifty steps, then a cosine; steep gradients are cut."""

    def __init__(self, parameters: Iterable[torch.nn.Parameter], config: FitConfig, steps: int) -> None:
        self._parameters, self._peak, self._steps, self._done = list(parameters), config.learning_rate, steps, 0
        self._optimiser = torch.optim.AdamW(self._parameters, lr=self._peak, weight_decay=config.weight_decay)

    def step(self, terms: dict[str, torch.Tensor]) -> torch.Tensor:
        """Down the gradient of the terms' sum, which is returned."""
        self._done += 1
        cosine = 0.5 * (1.0 + math.cos(math.pi * (self._done - 1) / self._steps))
        self._optimiser.param_groups[0]["lr"] = self._peak * min(1.0, self._done / 50) * cosine
        total = torch.stack(list(terms.values())).sum()
        self._optimiser.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_([p for p in self._parameters if p.grad is not None], 1.0)
        self._optimiser.step()
        return total.detach()


def _expert(
    net: MotionNet,
    pools: Sequence[Crops],
    utterances: Sequence[Utterance],
    loss: MotionLoss,
    generator: torch.Generator,
) -> SyncExpert | None:
    """A judge of lips and sound, learned from the same crops; None where the loss has no use for one."""
    if not loss.config.sync:
        return None
    mouth = np.concatenate([utterance.codes[utterance.usable, : loss.n_mouth] for utterance in utterances])
    spread = torch.from_numpy(mouth.std(0)).float().to(net.shift.device)
    expert = SyncExpert(net.shift, net.scale, spread, net.past_rows, loss.config.expert).to(spread.device)
    train_expert(expert, pools, loss.config.expert, generator)
    return expert


def _terms(
    net: MotionNet,
    rows: torch.Tensor,
    codes: torch.Tensor,
    usable: torch.Tensor,
    loss: MotionLoss,
    expert: SyncExpert | None,
) -> dict[str, torch.Tensor]:
    predicted = net(rows).transpose(1, 2)
    terms = loss(predicted, codes, usable)
    if expert is not None:
        terms["sync"] = loss.config.sync * expert.loss(rows, predicted, usable)
    return terms


def predict(net: MotionNet, rows: Float[np.ndarray, "R D"], frames: int) -> Float[np.ndarray, "T K"]:
    """Codes of `frames` frames of a whole recording; before and after it lie copies of its first and last row."""
    after = max(0, (frames - 1) * ROWS_PER_FRAME + net.config.future_rows + 1 - len(rows))
    padded = np.concatenate([np.repeat(rows[:1], net.past_rows, 0), rows, np.repeat(rows[-1:], after, 0)])
    padded = padded[: (frames - 1) * ROWS_PER_FRAME + net.rows]
    with torch.inference_mode():
        heard = torch.from_numpy(np.ascontiguousarray(padded.T))[None].to(net.shift.device)
        return net(heard)[0].T.cpu().numpy().astype(np.float64)


def validation_loss(net: MotionNet, utterances: Sequence[Utterance], loss: MotionLoss) -> float:
    """Landmark and velocity terms on the usable frames of whole takes; NaN without utterances."""
    if not utterances:
        return math.nan
    total = 0.0
    for utterance in utterances:
        codes = torch.from_numpy(predict(net, utterance.rows, len(utterance.codes))).float()
        terms = loss(
            codes[None], torch.from_numpy(utterance.codes).float()[None], torch.from_numpy(utterance.usable)[None]
        )
        total += float(terms["landmarks"] + 0.25 * terms["velocity"])
    return total / len(utterances)


def standardise(net: MotionNet, utterances: Sequence[Utterance], blind: Sequence[int]) -> None:
    """Make the network see rows of zero mean and unit spread, and nothing of the blind columns."""
    rows = np.concatenate([utterance.rows for utterance in utterances])
    scale = 1.0 / np.maximum(rows.std(0), 0.05)
    scale[list(blind)] = 0.0
    net.shift.copy_(torch.from_numpy(rows.mean(0)))
    net.scale.copy_(torch.from_numpy(scale))


def average(kept: MotionNet, net: MotionNet, decay: float) -> None:
    """One step of the exponential average of the weights."""
    with torch.no_grad():
        for old, new in zip(kept.parameters(), net.parameters(), strict=True):
            old.lerp_(new, 1.0 - decay)
